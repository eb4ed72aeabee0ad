#include "remediate/crypto/envelope.h"

#include "remediate/crypto/der.h"

namespace remediate::crypto {
namespace {

constexpr std::string_view kAuthEnvelopedData{"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17", 11};
constexpr std::string_view kData{"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", 9};
constexpr std::string_view kAes256Gcm{"\x60\x86\x48\x01\x65\x03\x04\x01\x2e", 9};
constexpr std::size_t kTagLength = 16;
constexpr std::size_t kNonceLength = 12;

/// Content in one piece, or cut into octet strings; OpenSSL would take pieces of any type.
bool well_cut(Element content) {
  if (!content.constructed) return true;
  while (!content.content.empty()) {
    if (!take(content.content, V_ASN1_OCTET_STRING, false)) return false;
  }
  return true;
}

constexpr std::string_view kMalformed = "it is not CMS AuthEnvelopedData";

std::string_view cipher_fault(std::string_view encrypted_content_info) {
  const auto type = take(encrypted_content_info, V_ASN1_OBJECT, false);
  auto algorithm = take(encrypted_content_info, V_ASN1_SEQUENCE, true);
  const auto content = take(encrypted_content_info);
  if (!type || !algorithm || !content || !content->is_tagged(0) || !well_cut(*content) ||
      !encrypted_content_info.empty()) {
    return kMalformed;
  }
  if (type->content != kData) return "it does not hold plain data";
  const auto cipher = take(algorithm->content, V_ASN1_OBJECT, false);
  if (!cipher || cipher->content != kAes256Gcm) return "it is not encrypted with AES-256-GCM";
  auto parameters = take(algorithm->content, V_ASN1_SEQUENCE, true);
  if (!parameters || !algorithm->content.empty()) return kMalformed;
  const auto nonce = take(parameters->content, V_ASN1_OCTET_STRING, false);
  const auto tag_length = take(parameters->content, V_ASN1_INTEGER, false);
  if (!nonce || nonce->content.size() != kNonceLength || !tag_length ||
      tag_length->content != std::string_view("\x10", 1) || !parameters->content.empty()) {
    return "its AES-GCM parameters are not a nonce of 12 and a tag of 16 bytes";
  }
  return {};
}

}  // namespace

std::string_view envelope_fault(std::string_view ber) {
  auto outer = take(ber, V_ASN1_SEQUENCE, true);
  if (!outer) return kMalformed;
  if (!ber.empty()) return "there are stray bytes behind it";
  const auto type = take(outer->content, V_ASN1_OBJECT, false);
  if (!type || type->content != kAuthEnvelopedData) return kMalformed;
  auto wrapper = take(outer->content);
  if (!wrapper || !wrapper->is_tagged(0) || !outer->content.empty()) return kMalformed;
  auto body = take(wrapper->content, V_ASN1_SEQUENCE, true);
  if (!body || !wrapper->content.empty()) return kMalformed;
  std::string_view& rest = body->content;
  if (!take(rest, V_ASN1_INTEGER, false)) return kMalformed;
  auto next = take(rest);
  if (next && next->is_tagged(0)) next = take(rest);  // originator's certificates
  if (!next || !next->is(V_ASN1_SET)) return kMalformed;
  const auto encrypted = take(rest, V_ASN1_SEQUENCE, true);
  if (!encrypted) return kMalformed;
  if (const std::string_view fault = cipher_fault(encrypted->content); !fault.empty()) return fault;
  next = take(rest);
  if (next && next->is_tagged(1)) {
    return "it has authenticated attributes, which OpenSSL 3.0 does not check";
  }
  if (!next || !next->is(V_ASN1_OCTET_STRING) || next->constructed) return kMalformed;
  if (next->content.size() != kTagLength) return "its tag is not 16 bytes long";
  return rest.empty() ? std::string_view() : "there is something behind its tag";
}

}  // namespace remediate::crypto
