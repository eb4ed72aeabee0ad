#include "remediate/run/signed_file.h"

#include <fstream>
#include <iostream>

#include <boost/filesystem.hpp>

#include "remediate/base/encoding.h"
#include "remediate/playbook/trust.h"

namespace remediate::run {
namespace {

namespace fs = boost::filesystem;
constexpr std::uint64_t max_signature_bytes = 1u << 20;

std::string mebibytes(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

Result<std::string> read_all(std::istream& stream, const std::string& file, std::string_view noun,
                             std::uint64_t max_bytes) {
  const std::string name = std::string(noun) + " " + display(file);
  std::string bytes;
  char buffer[65536];
  while (bytes.size() <= max_bytes && (stream.read(buffer, sizeof buffer), stream.gcount() > 0))
    bytes.append(buffer, static_cast<std::size_t>(stream.gcount()));
  if (bytes.size() > max_bytes)
    return fail(Code::limit, name + " has more than " + mebibytes(max_bytes), "split it");
  if (stream.bad() || !stream.eof())
    return fail(Code::io, "cannot read " + name, "check that it is a file that can be read");
  return bytes;
}

}  // namespace

Result<std::string> read_named_file(const std::string& file, std::string_view noun,
                                    std::uint64_t max_bytes) {
  if (file == "-") return read_all(std::cin, "on the standard input", noun, max_bytes);
  const std::string name = std::string(noun) + " " + display(file);
  boost::system::error_code error;
  const std::uint64_t size = fs::file_size(file, error);
  if (error)
    return fail(
        error == boost::system::errc::permission_denied ? Code::permission : Code::not_found,
        "cannot read " + name + ": " + error.message(), "name a file");
  if (size > max_bytes)
    return fail(Code::limit, name + " has more than " + mebibytes(max_bytes), "split it");
  std::ifstream stream(fs::path(file).c_str(), std::ios::binary);
  return read_all(stream, file, noun, max_bytes);
}

Result<std::string> read_signature_of(const std::string& file, std::string_view noun) {
  const std::string name = file + std::string(playbook::signature_suffix);
  boost::system::error_code error;
  const std::uint64_t size = fs::file_size(name, error);
  if (error == boost::system::errc::no_such_file_or_directory) return std::string();
  if (error)
    return fail(Code::signature, "cannot read " + display(name) + ": " + error.message(),
                "the signature of a " + std::string(noun) + " is a file beside it");
  if (size > max_signature_bytes)
    return fail(Code::signature, display(name) + " has more than 1 MiB", "it is no signature");
  std::ifstream stream(fs::path(name).c_str(), std::ios::binary);
  return read_all(stream, name, "the signature", max_signature_bytes);
}

}  // namespace remediate::run
