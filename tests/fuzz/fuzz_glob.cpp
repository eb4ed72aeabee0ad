#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fnmatch.h>

#include "remediate/match/engine.h"

/// The first byte chooses the case rule, the rest is "pattern NUL path".
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool ignore_case = (data[0] & 1) != 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = input.find('\0');
  const std::string pattern(input.substr(0, cut));
  std::string path(cut == std::string_view::npos ? std::string_view() : input.substr(cut + 1));
  const auto glob = remediate::match::Glob::parse(pattern, ignore_case);
  if (!glob) return 0;
  const bool matched = glob->matches(path);
  if (matched != glob->matches(path)) std::abort();
  // A second opinion where the format is that of fnmatch; short, because that one backtracks.
  const bool plain = pattern.find_first_not_of(
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*?/._") ==
                         std::string::npos &&
                     pattern.find("**") == std::string::npos && pattern.size() < 16;
  const bool comparable = path.size() < 32 && path.find('\0') == std::string::npos &&
                          path.find_first_of("\\[") == std::string::npos;
  if (plain && comparable && !ignore_case &&
      matched != (::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0)) {
    std::abort();
  }
  return 0;
}
