#pragma once

// Private to this folder: the elements of a BER or DER text, one after the other.

#include <optional>
#include <string_view>

#include <openssl/asn1.h>

namespace remediate::crypto {

struct Element {
  int tag = 0;
  int tag_class = 0;
  bool constructed = false;
  std::string_view content;  // without the end mark of an indefinite length
  std::string_view whole;    // with tag, length and end mark

  [[nodiscard]] bool is(int wanted) const { return tag_class == V_ASN1_UNIVERSAL && tag == wanted; }
  [[nodiscard]] bool is_tagged(int wanted) const {
    return tag_class == V_ASN1_CONTEXT_SPECIFIC && tag == wanted;
  }
};

/// Takes one BER element from the front of `rest`; nothing when it is malformed or too deep.
[[nodiscard]] std::optional<Element> take(std::string_view& rest, int depth = 0);
/// The same, of this universal tag only.
[[nodiscard]] std::optional<Element> take(std::string_view& rest, int tag, bool constructed);

}  // namespace remediate::crypto
