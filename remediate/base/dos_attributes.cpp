#include "remediate/base/dos_attributes.h"

#include <algorithm>
#include <charconv>

namespace remediate {
namespace {

constexpr std::string_view attribute_name = "user.DOSATTRIB";
constexpr std::uint32_t has_attributes = 0x1;  // of valid_flags
constexpr std::uint32_t hides = dos_read_only | dos_hidden | dos_system;

std::uint32_t little_endian(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t index = 0; index < size; ++index)
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + index]))
             << (8 * index);
  return value;
}

constexpr std::size_t aligned(std::size_t at, std::size_t to) { return (at + to - 1) / to * to; }

/// "0x22", what Samba wrote before 3.5 and writes in front for old readers.
std::optional<std::uint32_t> from_text(std::string_view text) {
  if (!text.starts_with("0x") || text.size() > 10) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A text that ends in NUL, then a version, twice, then of versions 3 to 5 flags that say which
/// fields hold, and the attributes.
std::optional<std::uint32_t> decode(std::string_view bytes) {
  const std::size_t nul = bytes.find('\0');
  const std::string_view text = bytes.substr(0, nul);
  if (nul == std::string_view::npos || nul + 1 == bytes.size()) return from_text(text);
  const std::size_t at = aligned(nul + 1, 2);
  const std::size_t body = aligned(at + 4, 4);
  if (body + 8 > bytes.size()) return std::nullopt;
  const std::uint32_t version = little_endian(bytes, at, 2);
  if (version != little_endian(bytes, at + 2, 2)) return std::nullopt;
  if (version == 1) return little_endian(bytes, body, 4);
  if (version < 3 || version > 5) return from_text(text);
  if ((little_endian(bytes, body, 4) & has_attributes) == 0) return std::nullopt;
  return little_endian(bytes, body + 4, 4);
}

}  // namespace

std::optional<std::uint32_t> dos_attributes(const Metadata& metadata) {
  const auto found =
      std::ranges::find(metadata.attributes, attribute_name, &ExtendedAttribute::name);
  if (found == metadata.attributes.end()) return std::nullopt;
  return decode(found->value);
}

std::vector<std::string> hiding(std::string_view name, const Metadata& metadata) {
  std::vector<std::string> words;
  const std::uint32_t bits = dos_attributes(metadata).value_or(0);
  if ((bits & dos_hidden) != 0) words.emplace_back("hidden");
  if ((bits & dos_system) != 0) words.emplace_back("system");
  if ((bits & dos_read_only) != 0) words.emplace_back("read-only");
  if (!words.empty()) words.back() += " (to clients of a share, user.DOSATTRIB)";
  if (name.starts_with('.')) words.emplace_back("a name that begins with a dot");
  if (metadata.immutable()) words.emplace_back("immutable");
  if (metadata.append_only()) words.emplace_back("append-only");
  return words;
}

Metadata without_hiding(Metadata metadata) {
  if ((dos_attributes(metadata).value_or(0) & hides) != 0)
    std::erase_if(metadata.attributes, [](const ExtendedAttribute& attribute) {
      return attribute.name == attribute_name;
    });
  return metadata;
}

}  // namespace remediate
