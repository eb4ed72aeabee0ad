// seal_bench [MEGABYTES [FOLDER]]: seconds to seal one file of MEGABYTES (1,024) durably:
//   tool   crypto::seal into a file, and fsync
//   loop   the same work without its form: read, SHA-256, AES-256-GCM, SHA-256, write, fsync
// Interleaved, medians of 3, in blocks of 64 KiB. Works below FOLDER (the temporary directory).
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <openssl/evp.h>
#include <stdlib.h>

#include "remediate/base/try.h"
#include "remediate/crypto/certificate.h"
#include "remediate/crypto/digest.h"
#include "remediate/crypto/seal.h"
#include "remediate/host/durable.h"
#include "remediate/host/host.h"

namespace {

namespace fs = std::filesystem;
using namespace remediate;

constexpr int repeats = 3;
constexpr std::size_t block = 64u << 10;

using Cipher =
    std::unique_ptr<EVP_CIPHER_CTX,
                    decltype([](EVP_CIPHER_CTX* context) { EVP_CIPHER_CTX_free(context); })>;

struct Bench {
  std::unique_ptr<host::Host> host = host::native_host();
  std::string top;
  std::vector<crypto::Certificate> to;

  Result<void> make(std::uint64_t megabytes) {
    TRY_LET(const auto recovery,
            crypto::make_identity("bench recovery", crypto::Use::recover, host->now(), 30));
    TRY_LET(auto certificate, crypto::Certificate::from_pem(recovery.certificate_pem, "recovery"));
    to.push_back(std::move(certificate));
    TRY_LET(const auto folder, host->open_root(top));
    TRY_LET(const auto file, folder->create_file("plain", 0600));
    std::string bytes(1u << 20, '\0');
    std::uint64_t state = 0x9e3779b97f4a7c15u;
    for (std::uint64_t at = 0; at < megabytes; ++at) {
      for (char& byte : bytes) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        byte = static_cast<char>(state >> 56);
      }
      TRY(file->write_at(at << 20, bytes));
    }
    return file->sync();
  }

  Result<void> tool(const host::File& plain, host::File& sealed) const {
    host::FileSource source(plain);
    host::FileSink sink(sealed);
    TRY(crypto::seal(source, sink, to));
    return sealed.sync();
  }

  static Result<void> loop(const host::File& plain, host::File& sealed) {
    const std::array<unsigned char, 32> key{1};
    const std::array<unsigned char, 12> nonce{2};
    const Cipher cipher(EVP_CIPHER_CTX_new());
    if (!cipher ||
        EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) != 1)
      return fail(Code::internal, "no cipher");
    crypto::Digest before(crypto::Algorithm::sha256);
    crypto::Digest after(crypto::Algorithm::sha256);
    std::vector<char> bytes(block);
    std::vector<unsigned char> hidden(block);
    for (std::uint64_t at = 0;;) {
      TRY_LET(const std::size_t count, plain.read_at(at, bytes));
      if (count == 0) break;
      before.update({bytes.data(), count});
      int made = 0;
      if (EVP_EncryptUpdate(cipher.get(), hidden.data(), &made,
                            reinterpret_cast<const unsigned char*>(bytes.data()),
                            static_cast<int>(count)) != 1)
        return fail(Code::internal, "not encrypted");
      const std::string_view out(reinterpret_cast<const char*>(hidden.data()),
                                 static_cast<std::size_t>(made));
      after.update(out);
      TRY(sealed.write_at(at, out));
      at += count;
    }
    return sealed.sync();
  }

  Result<double> timed(bool by_tool) const {
    TRY_LET(const auto folder, host->open_root(top));
    TRY_LET(const auto plain, folder->open_file("plain", host::Access::read));
    TRY_LET(const auto sealed, folder->create_file("sealed", 0600));
    const auto start = std::chrono::steady_clock::now();
    TRY(by_tool ? tool(*plain, *sealed) : loop(*plain, *sealed));
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    TRY(folder->remove_file("sealed"));
    TRY(folder->sync_filesystem());
    return taken.count();
  }

  Result<void> measure(std::uint64_t megabytes) {
    TRY(make(megabytes));
    std::array<std::vector<double>, 2> seconds;
    for (int round = 0; round < repeats; ++round)
      for (const bool by_tool : {true, false}) {
        TRY_LET(const double taken, timed(by_tool));
        seconds[by_tool ? 0 : 1].push_back(taken);
      }
    for (auto& all : seconds) std::ranges::sort(all);
    const double mine = seconds[0][repeats / 2];
    const double bare = seconds[1][repeats / 2];
    std::printf("seal %ju MiB: tool %.3f s, loop %.3f s, ratio %.2f\n",
                static_cast<std::uintmax_t>(megabytes), mine, bare, mine / bare);
    return {};
  }
};

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t megabytes = 1024;
  if (argc > 1) {
    const std::string text = argv[1];
    const auto read = std::from_chars(text.data(), text.data() + text.size(), megabytes);
    if (read.ec != std::errc{} || megabytes < 1 || megabytes > 1024) {
      std::fprintf(stderr, "usage: seal_bench [MEGABYTES (1 to 1024) [FOLDER]]\n");
      return 64;
    }
  }
  Bench bench;
  const fs::path below = argc > 2 ? fs::path(argv[2]) : fs::temp_directory_path();
  bench.top = (below / "seal-bench-XXXXXX").string();
  if (::mkdtemp(bench.top.data()) == nullptr) {
    std::perror(bench.top.c_str());
    return 1;
  }
  const auto measured = bench.measure(megabytes);
  std::error_code ignored;
  fs::remove_all(bench.top, ignored);
  if (!measured) std::fprintf(stderr, "%s\n", measured.error().text().c_str());
  return measured ? 0 : 1;
}
