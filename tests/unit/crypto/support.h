#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "remediate/base/stream.h"
#include "remediate/crypto/certificate.h"

namespace remediate::crypto::test {

inline constexpr Timestamp kNow{1'795'000'000, 0};

/// The value of a Result, or a failed test that says why.
template <class T>
T must(Result<T> result) {
  if (!result) FAIL(code_name(result.error().code) << ": " << result.error().text());
  return std::move(*result);
}

struct Identity {
  Certificate certificate;
  PrivateKey key;
  std::string certificate_pem;
  std::string key_pem;
};

inline Identity identity_of(const std::string& certificate_pem, const std::string& key_pem) {
  return {must(Certificate::from_pem(certificate_pem, "certificate")),
          must(PrivateKey::from_pem(key_pem, "key")), certificate_pem, key_pem};
}

inline Identity new_identity(std::string_view name, Use use) {
  const NewIdentity made = must(make_identity(name, use, kNow, 365));
  return identity_of(made.certificate_pem, made.key_pem);
}

class StringSource final : public ByteSource {
 public:
  explicit StringSource(std::string_view bytes) : rest_(bytes) {}
  Result<std::size_t> read(std::span<char> into) override {
    const std::size_t count = rest_.copy(into.data(), std::min(into.size(), step));
    rest_.remove_prefix(count);
    if (count == 0 && fails_at_end) return fail(Code::io, "the source broke");
    return count;
  }
  std::size_t step = 7919;
  bool fails_at_end = false;

 private:
  std::string_view rest_;
};

class StringSink final : public ByteSink {
 public:
  Result<void> write(std::string_view part) override {
    if (bytes.size() + part.size() > capacity) return fail(Code::no_space, "the sink is full");
    bytes += part;
    return {};
  }
  std::string bytes;
  std::size_t capacity = std::string::npos;
};

/// A temporary folder with the stock openssl command at work in it.
class Workbench {
 public:
  Workbench() {
    std::string pattern = (std::filesystem::temp_directory_path() / "unit_crypto.XXXXXX").string();
    const char* made = mkdtemp(pattern.data());
    REQUIRE(made != nullptr);
    folder_ = made;
  }
  Workbench(const Workbench&) = delete;
  Workbench& operator=(const Workbench&) = delete;
  ~Workbench() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void put(const std::string& name, std::string_view bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  [[nodiscard]] std::string get(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    REQUIRE(file.good());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// The exit status of `openssl ARGUMENTS`, run inside the folder.
  [[nodiscard]] int openssl(const std::string& arguments) const {
    const std::string command =
        "cd '" + folder_.string() + "' && openssl " + arguments + " >log 2>&1 </dev/null";
    return std::system(command.c_str());
  }
  void must_run(const std::string& arguments) const {
    const int status = openssl(arguments);
    INFO("openssl " << arguments << "\n" << get("log"));
    REQUIRE(status == 0);
  }

 private:
  std::filesystem::path folder_;
};

inline Identity openssl_identity(const Workbench& bench, const std::string& key_options,
                                 const std::string& name) {
  bench.must_run("req -x509 -nodes -days 30 -newkey " + key_options + " -subj /CN=" + name +
                 " -keyout " + name + ".key -out " + name + ".crt");
  return identity_of(bench.get(name + ".crt"), bench.get(name + ".key"));
}

}  // namespace remediate::crypto::test
