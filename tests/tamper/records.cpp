#include "der.h"
#include "remediate/base/encoding.h"
#include "remediate/crypto/digest.h"
#include "sweep.h"

namespace remediate::run::test {
namespace {

using Ask = Sweep::Ask;
using Lines = std::vector<std::string>;  // without line feeds

Lines lines_of(const std::string& text) {
  Lines lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

/// The chain as somebody rebuilds it who has no key: numbers and links are right again.
Lines chained(Lines lines) {
  std::string head(64, '0');
  std::uint64_t number = 0;
  for (std::string& line : lines) {
    if (auto json = parse_json_strict(line)) {
      (*json)["seq"] = ++number;
      (*json)["prev"] = head;
      line = json->dump();
    }
    head = crypto::sha256_hex(line);
  }
  return lines;
}

std::string with_plan_id(std::string plan) {
  const std::string key = "\"plan_id\": \"";
  const std::size_t at = plan.find(key);
  if (at == std::string::npos || plan.size() < at + key.size() + 33) return plan;
  plan.replace(at + key.size(), 32, std::string(32, '0'));
  return plan.replace(at + key.size(), 32, crypto::sha256_hex(plan).substr(0, 32));
}

class RecordSweep {
 public:
  explicit RecordSweep(Sweep& sweep) : sweep_(sweep), scene_(sweep.scene()) {}

  void run() {
    for (const Place& place : scene_.files) {
      place_ = &place;
      good_ = scene_.read(place);
      if (place.kind == Kind::journal) journal();
      if (place.kind == Kind::head || place.kind == Kind::manifest || place.kind == Kind::store)
        document(false);
      if (place.kind == Kind::plan) document(true);
      if (place.kind == Kind::head_signature || place.kind == Kind::manifest_signature ||
          place.kind == Kind::approval)
        signature();
      scene_.write(place, good_);
    }
    orphan();
  }

 private:
  void changed(const std::string& bytes, const std::string& what, bool refuse, Ask ask = Ask::found,
               bool resume_too = true) {
    if (bytes == good_) return;
    scene_.write(*place_, bytes);
    sweep_.judge(place_->kind, what, ask);
    if (refuse && ask == Ask::found) sweep_.refuse(place_->kind, what, resume_too);
  }

  void document(bool plan) {
    std::size_t number = 0;
    const auto edits = edits_of(good_, true);
    for (const auto& [what, text] : edits) {
      const bool refuse = limits().full || ++number % 4 == 0;
      if (!limits().full && edits.size() > 200 && number % 5 != 0) continue;
      changed(text, what, refuse);
      if (plan) changed(with_plan_id(text), what + ", with its own id", refuse);
    }
  }

  /// What a head covers is found by it; what a crashed run wrote since only by a witness.
  void journal() {
    const Lines good = lines_of(good_);
    std::uint64_t covered = 0;
    for (const Place& place : scene_.files)
      if (place.kind == Kind::head)
        covered = std::max(
            covered, parse_json_strict(scene_.read(place))->at("length").get<std::uint64_t>());
    // `resume` signs what a crash left unsigned, so it takes a right record behind the signed end.
    const auto both = [&](const Lines& lines, std::size_t index, const std::string& what,
                          bool refuse) {
      const std::string name = "record " + std::to_string(index + 1) + " " + what;
      const bool own = index >= covered;
      const bool last = own && index + 1 >= good.size();
      changed(joined(lines), name, refuse, last ? Ask::witness : Ask::found);
      changed(joined(chained(lines)), name + ", chain rebuilt", refuse,
              own ? Ask::witness : Ask::found, index + 1 < covered);
    };
    for (std::size_t index = 0; index < good.size(); ++index) {
      Lines lines = good;
      lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(index));
      both(lines, index, "taken out", true);
      lines = good;
      lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(index), good[index]);
      both(lines, index, "twice", true);
      if (index + 1 < good.size()) {
        lines = good;
        std::swap(lines[index], lines[index + 1]);
        both(lines, index, "and the next swapped", true);
      }
      lines.assign(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(index));
      changed(joined(lines), "cut before record " + std::to_string(index + 1), true,
              index >= covered ? Ask::witness : Ask::found);
      lines = good;
      lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(index), "");
      both(lines, index, "after an empty line", true);
      std::size_t number = 0;
      const auto edits = edits_of(good[index], false);
      for (const auto& [what, text] : edits) {
        if (!limits().full && edits.size() > 60 && number % (edits.size() / 30) != 0 &&
            what.rfind('/') != 0) {
          ++number;
          continue;
        }
        lines = good;
        lines[index] = text;
        both(lines, index, what, number++ % 8 == 0);
      }
    }
  }

  void signature() {
    const bool approval = place_->kind == Kind::approval;
    for (const Forgery& forgery : forgeries(good_, must(hex_bytes(namesake().certificate))))
      changed(forgery.bytes, forgery.name, true);
    Place document = *place_;
    document.name.resize(document.name.size() - 4);
    const std::string bytes = scene_.read(document);
    changed(must(crypto::sign_detached(bytes, namesake().certificate, namesake().key)),
            "signed by a namesake", true);
    if (!approval)
      changed(must(crypto::add_signer(good_, bytes, namesake().certificate, namesake().key)),
              "signed by a namesake too", true);
    if (approval)
      changed(must(crypto::sign_detached(bytes, approvers()[0].certificate, approvers()[0].key)),
              "one approver less", true);
  }

  static Result<std::string> hex_bytes(const crypto::Certificate& certificate) {
    std::string pem = certificate.pem();
    pem = pem.substr(pem.find('\n') + 1);
    pem.resize(pem.find("-----"));
    std::erase(pem, '\n');
    if (auto der = base64_decode(pem)) return std::move(*der);
    return fail(Code::internal, "a certificate is not base64");
  }

  /// Files under the names of runs and heads that there are not, and folders of runs that are gone.
  void orphan() {
    const std::string journals = scene_.world.store_path() + "/journal";
    for (const Place& place : scene_.files) {
      if (place.kind != Kind::journal && place.kind != Kind::head) continue;
      Place copy = place;
      copy.name =
          place.kind == Kind::journal ? "run-000000000000.jsonl" : scene_.run + ".head-99.json";
      scene_.create(copy, scene_.read(place));
      sweep_.judge(place.kind, "copied to " + copy.name, Ask::found, true);
      scene_.remove(copy);
    }
    const std::string runs = scene_.world.store_path() + "/runs";
    const Place run{Kind::plan, runs, scene_.run};
    const Place aside{Kind::plan, scene_.world.target(), "aside"};
    scene_.move(run, aside);
    sweep_.judge(Kind::plan, "the run's whole folder taken away", Ask::found, true);
    scene_.move(aside, run);
  }

  Sweep& sweep_;
  Scene& scene_;
  const Place* place_ = nullptr;
  std::string good_;
};

}  // namespace

void sweep_records(Sweep& sweep) { RecordSweep(sweep).run(); }

void sweep_history(Sweep& sweep) {
  Scene& scene = sweep.scene();
  if (scene.begun.empty()) return;
  // The run as it was when only its start was signed: everything in it verifies. What lies under
  // the name of its own digest is the same then and now.
  const auto changes = [](const Place& place) {
    return place.kind != Kind::object && place.kind != Kind::held && place.kind != Kind::store &&
           place.kind != Kind::certificate;
  };
  Copy present, earlier = scene.begun;
  std::erase_if(earlier, [&](const auto& one) { return !changes(one.first); });
  for (const Place& place : scene.files)
    if (changes(place)) {
      present.emplace_back(place, scene.read(place));
      scene.remove(place);
    }
  for (const auto& [place, bytes] : earlier) scene.create(place, bytes);
  sweep.judge(Kind::journal, "the store's earlier state, rightly signed", Ask::witness);
  for (const auto& [place, bytes] : earlier) scene.remove(place);
  for (const auto& [place, bytes] : present) scene.create(place, bytes);
}

}  // namespace remediate::run::test
