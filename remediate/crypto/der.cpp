#include "remediate/crypto/der.h"

namespace remediate::crypto {
namespace {

constexpr int kMaxDepth = 16;

}  // namespace

std::optional<Element> take(std::string_view& rest, int depth) {
  if (rest.empty() || depth > kMaxDepth) return std::nullopt;
  const std::string_view before = rest;
  const auto* const start = reinterpret_cast<const unsigned char*>(rest.data());
  const unsigned char* at = start;
  long length = 0;
  Element element;
  const int form = ASN1_get_object(&at, &length, &element.tag, &element.tag_class,
                                   static_cast<long>(rest.size()));
  if ((form & 0x80) != 0) return std::nullopt;
  element.constructed = (form & V_ASN1_CONSTRUCTED) != 0;
  rest.remove_prefix(static_cast<std::size_t>(at - start));
  if ((form & 1) == 0) {
    if (length < 0 || static_cast<std::size_t>(length) > rest.size()) return std::nullopt;
    element.content = rest.substr(0, static_cast<std::size_t>(length));
    rest.remove_prefix(static_cast<std::size_t>(length));
  } else {
    const std::string_view all = rest;
    while (!rest.starts_with(std::string_view("\0\0", 2))) {
      if (!take(rest, depth + 1)) return std::nullopt;
    }
    element.content = all.substr(0, all.size() - rest.size());
    rest.remove_prefix(2);
  }
  element.whole = before.substr(0, before.size() - rest.size());
  return element;
}

std::optional<Element> take(std::string_view& rest, int tag, bool constructed) {
  auto element = take(rest);
  if (!element || !element->is(tag) || element->constructed != constructed) return std::nullopt;
  return element;
}

}  // namespace remediate::crypto
