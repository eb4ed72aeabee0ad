#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fnmatch.h>

#include "remediate/match/engine.h"

/// The first line is a pattern, the rest a path.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using remediate::match::Glob;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = input.find('\n');
  const std::string pattern(input.substr(0, cut));
  const std::string path(cut == std::string_view::npos ? std::string_view()
                                                       : input.substr(cut + 1));
  const auto exact = Glob::parse(pattern, false);
  const auto folded = Glob::parse(pattern, true);
  if (exact.has_value() != folded.has_value()) std::abort();
  if (!exact) return 0;
  const bool matched = exact->matches(path);
  const bool negates =
      pattern.find("[!") != std::string::npos || pattern.find("[^") != std::string::npos;
  if (matched && !negates && !folded->matches(path)) std::abort();
  if (negates) (void)folded->matches(path);
  // A second opinion where the format is that of fnmatch; short, because that one backtracks.
  const bool plain = pattern.find_first_not_of(
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*?/._") ==
                         std::string::npos &&
                     pattern.find("**") == std::string::npos && pattern.size() < 16;
  const bool comparable = path.size() < 32 && path.find('\0') == std::string::npos;
  if (plain && comparable &&
      matched != (::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0)) {
    std::abort();
  }
  return 0;
}
