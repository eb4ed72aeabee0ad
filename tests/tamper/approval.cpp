#include <chrono>
#include <iostream>

#include "der.h"
#include "remediate/base/encoding.h"
#include "sweep.h"

namespace remediate::run::test {
namespace {

/// What `apply` does with the two files before it touches anything.
Result<plan::ApprovedPlan> judged(World& world, const std::string& plan,
                                  const std::string& signature) {
  auto file = plan::read_plan(plan, "plan.json");
  if (!file) return std::unexpected(std::move(file).error());
  return plan::check_approval(request(world, std::move(*file), signature));
}

/// Exit codes 65 and 4 of `apply`.
bool documented(Code code) {
  return code == Code::bad_input || code == Code::stale_plan || code == Code::signature ||
         code == Code::approval;
}

std::string der_of(const crypto::Certificate& certificate) {
  std::string pem = certificate.pem();
  pem = pem.substr(pem.find('\n') + 1);
  pem.resize(pem.find("-----"));
  std::erase(pem, '\n');
  const auto der = base64_decode(pem);
  REQUIRE(der);
  return *der;
}

}  // namespace

TEST_CASE("approvals: apply refuses every changed plan and every changed signature file") {
  const auto began = std::chrono::steady_clock::now();
  MemoryWorld memory;
  World& world = *memory.world;
  world.policy.threshold = 2;
  const plan::PlanFile file = world.plan();
  const std::string good = approve(file.bytes);
  REQUIRE(judged(world, file.bytes, good));
  std::uint64_t tried = 0, accepted = 0;
  const auto attempt = [&](const std::string& plan, const std::string& signature,
                           const std::string& what) {
    if (plan == file.bytes && signature == good) return;
    ++tried;
    const auto result = judged(world, plan, signature);
    if (!result && documented(result.error().code)) return;
    ++accepted;
    UNSCOPED_INFO(what << (result ? " was accepted" : ": " + result.error().text()));
  };
  const auto bytes = [&](const std::string& bytes_of, std::size_t places, const auto& with) {
    const std::size_t step = limits().full ? 1 : std::max<std::size_t>(1, bytes_of.size() / places);
    for (std::size_t at = 0; at < bytes_of.size(); at += step) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        if (!limits().full && bit != 5 && bit != at % 8) continue;
        std::string flipped = bytes_of;
        flipped[at] = static_cast<char>(flipped[at] ^ (1u << bit));
        with(flipped, "byte " + std::to_string(at) + " bit " + std::to_string(bit));
      }
      with(bytes_of.substr(0, at), "cut to " + std::to_string(at));
    }
    for (const std::string& tail : {std::string("\n"), std::string(1, '\0'), bytes_of})
      with(bytes_of + tail, "bytes behind it");
    with(std::string(bytes_of.size(), '\0'), "zeros");
  };
  bytes(file.bytes, 400, [&](const std::string& changed, const std::string& what) {
    attempt(changed, good, "plan " + what);
  });
  // Every byte of the signatures also in the short form.
  bytes(good, 100'000, [&](const std::string& changed, const std::string& what) {
    attempt(file.bytes, changed, "signature " + what);
  });
  for (const auto& [what, text] : edits_of(file.bytes, true)) attempt(text, good, "plan " + what);
  for (const Forgery& forgery : forgeries(good, der_of(namesake().certificate))) {
    if (forgery.approval_too) attempt(file.bytes, forgery.bytes, "signature: " + forgery.name);
    // Without the copies of certificates it says the same: the policy has its own.
    else
      CHECK(judged(world, file.bytes, forgery.bytes));
  }
  attempt(file.bytes, approve("another plan"), "another plan's signature");
  attempt(file.bytes, "", "no signature");
  const auto& both = approvers();
  attempt(file.bytes, must(crypto::sign_detached(file.bytes, both[0].certificate, both[0].key)),
          "one of two");
  attempt(file.bytes,
          must(crypto::add_signer(
              must(crypto::sign_detached(file.bytes, both[0].certificate, both[0].key)), file.bytes,
              namesake().certificate, namesake().key)),
          "a stranger for one of two");
  CHECK(accepted == 0);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
  std::cout << "tamper sweep, approvals: " << tried << " changes, " << accepted << " accepted, "
            << seconds.count() << " s" << std::endl;
}

}  // namespace remediate::run::test
