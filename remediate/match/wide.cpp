#include "remediate/match/wide.h"

namespace remediate::match {
namespace {

constexpr std::size_t looked_at = 4096;
constexpr std::size_t fewest_pairs = 2;
constexpr std::size_t one_of = 8;

}  // namespace

std::string narrowed(std::string_view wide, ByteOrder order) {
  const std::size_t low = order == ByteOrder::little ? 0 : 1;
  std::string narrow(wide.size() / 2, '\0');
  for (std::size_t i = 0; i < narrow.size(); ++i) {
    if (wide[2 * i + 1 - low] == '\0') narrow[i] = wide[2 * i + low];
  }
  return narrow;
}

std::optional<Utf16Text> utf16_text(std::string_view bytes) {
  if (bytes.starts_with("\xff\xfe")) return Utf16Text{ByteOrder::little, 2};
  if (bytes.starts_with("\xfe\xff")) return Utf16Text{ByteOrder::big, 2};
  const std::string_view first = bytes.substr(0, looked_at);
  const std::size_t pairs = first.size() / 2;
  if (pairs < fewest_pairs || first.find('\0') == std::string_view::npos) return std::nullopt;
  std::size_t nul[2] = {0, 0};
  for (std::size_t i = 0; i < 2 * pairs; ++i) nul[i % 2] += first[i] == '\0' ? 1u : 0u;
  const auto text = [&](std::size_t high, std::size_t low) {
    return pairs - nul[high] <= pairs / one_of && nul[low] <= pairs / one_of;
  };
  if (text(1, 0)) return Utf16Text{ByteOrder::little, 0};
  if (text(0, 1)) return Utf16Text{ByteOrder::big, 0};
  return std::nullopt;
}

}  // namespace remediate::match
