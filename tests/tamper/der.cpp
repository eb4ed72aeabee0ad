#include "der.h"

#include <algorithm>
#include <stdexcept>

namespace remediate::run::test {
namespace {

constexpr unsigned char null_tag = 0x05, sequence_tag = 0x30, octets_tag = 0x04;

Node take(std::string_view& rest) {
  const auto byte = [&] {
    if (rest.empty()) throw std::runtime_error("a DER text that ends too early");
    const auto value = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    return value;
  };
  Node node;
  node.tag = byte();
  std::size_t length = byte();
  if (length >= 0x80) {
    std::size_t digits = length - 0x80;
    for (length = 0; digits > 0; --digits) length = length << 8 | byte();
  }
  if (length > rest.size()) throw std::runtime_error("a DER element that is too long");
  std::string_view content = rest.substr(0, length);
  rest.remove_prefix(length);
  if (!node.constructed()) {
    node.bytes = content;
    return node;
  }
  while (!content.empty()) node.children.push_back(take(content));
  return node;
}

std::string with_length(unsigned char tag, const std::string& content, bool long_form = false) {
  std::string out(1, static_cast<char>(tag));
  std::string digits;
  for (std::size_t rest = content.size(); rest > 0; rest >>= 8)
    digits.insert(digits.begin(), static_cast<char>(rest & 0xff));
  if (long_form) digits.insert(digits.begin(), '\0');
  if (content.size() < 0x80 && !long_form)
    out += static_cast<char>(content.size());
  else
    out += static_cast<char>(0x80 | digits.size()), out += digits;
  return out + content;
}

std::string content_of(const Node& node) {
  std::string content = node.bytes;
  for (const Node& child : node.children) content += write_der(child);
  return content;
}

Node empty(unsigned char tag) { return {tag, "", {}}; }

}  // namespace

Node read_der(std::string_view der) {
  Node node = take(der);
  if (!der.empty()) throw std::runtime_error("something behind a DER text");
  return node;
}

std::string write_der(const Node& node) { return with_length(node.tag, content_of(node)); }

std::vector<Forgery> forgeries(std::string_view der, std::string_view stranger) {
  const Node whole = read_der(der);
  std::vector<Forgery> all;
  const auto add = [&](const std::string& name, const auto& change, bool approval_too = true) {
    Node copy = whole;
    Node& body = copy.children.at(1).children.at(0);
    change(body, body.children.back().children.at(0));
    all.push_back({name, write_der(copy), approval_too});
  };
  // body: version, digests, content, [0] certificates, signers
  // signer: version, identifier, digest, [0] attributes, algorithm, signature
  for (const char version : {'\0', '\2', '\3', '\4', '\5'}) {
    const std::string text(1, version);
    add("version " + std::to_string(version),
        [&](Node& body, Node&) { body.children[0].bytes = text; });
    add("signer's version " + std::to_string(version),
        [&](Node&, Node& signer) { signer.children[0].bytes = text; });
  }
  add("digest with parameters",
      [](Node&, Node& signer) { signer.children[2].children.push_back(empty(null_tag)); });
  add("digests with parameters",
      [](Node& body, Node&) { body.children[1].children[0].children.push_back(empty(null_tag)); });
  add("no digests", [](Node& body, Node&) { body.children[1].children.clear(); });
  add("digests twice",
      [](Node& body, Node&) { body.children[1].children.push_back(body.children[1].children[0]); });
  add("algorithm with parameters",
      [](Node&, Node& signer) { signer.children[4].children.push_back(empty(null_tag)); });
  add("algorithm ecdsa-with-SHA1", [](Node&, Node& signer) {
    signer.children[4].children[0].bytes = std::string("\x2a\x86\x48\xce\x3d\x04\x01", 7);
  });
  add("algorithm id-ecPublicKey", [](Node&, Node& signer) {
    signer.children[4].children[0].bytes = std::string("\x2a\x86\x48\xce\x3d\x02\x01", 7);
  });
  add(
      "no certificates", [](Node& body, Node&) { body.children.erase(body.children.begin() + 3); },
      false);
  add("another certificate",
      [&](Node& body, Node&) { body.children[3].children = {read_der(stranger)}; });
  add("a further certificate", [&](Node& body, Node&) {
    body.children[3].children.push_back(read_der(stranger));
    std::ranges::sort(body.children[3].children, {}, [](const Node& n) { return write_der(n); });
  });
  add("a certificate twice",
      [](Node& body, Node&) { body.children[3].children.push_back(body.children[3].children[0]); });
  add("empty revocation lists",
      [](Node& body, Node&) { body.children.insert(body.children.end() - 1, empty(0xa1)); });
  add("an unsigned attribute", [](Node&, Node& signer) {
    Node attribute = signer.children[3].children.at(0);
    signer.children.push_back({0xa1, "", {attribute}});
  });
  add("empty unsigned attributes",
      [](Node&, Node& signer) { signer.children.push_back(empty(0xa1)); });
  add("attributes in another order",
      [](Node&, Node& signer) { std::ranges::reverse(signer.children[3].children); });
  add("an attribute twice", [](Node&, Node& signer) {
    auto& attributes = signer.children[3].children;
    attributes.insert(attributes.begin(), attributes[0]);
  });
  add("an attribute less", [](Node&, Node& signer) { signer.children[3].children.pop_back(); });
  add("no signed attributes",
      [](Node&, Node& signer) { signer.children.erase(signer.children.begin() + 3); });
  add("a signer twice", [](Node& body, Node& signer) {
    const Node copy = signer;
    auto& signers = body.children.back().children;
    signers.insert(signers.begin(), copy);
  });
  add("no signer", [](Node& body, Node&) { body.children.back().children.clear(); });
  add("signature with a byte more", [](Node&, Node& signer) { signer.children[5].bytes += '\0'; });
  add("signature in pieces", [](Node&, Node& signer) {
    const std::string bytes = signer.children[5].bytes;
    signer.children[5] = {
        octets_tag | 0x20,
        "",
        {{octets_tag, bytes.substr(0, 9), {}}, {octets_tag, bytes.substr(9), {}}}};
  });
  add("content of its own", [](Node& body, Node&) {
    body.children[2].children.push_back({0xa0, "", {{octets_tag, "x", {}}}});
  });
  const std::string content = content_of(whole);
  all.push_back({"a long length", with_length(sequence_tag, content, true), true});
  all.push_back(
      {"an indefinite length",
       std::string(1, static_cast<char>(sequence_tag)) + '\x80' + content + std::string(2, '\0'),
       true});
  all.push_back({"a byte behind it", std::string(der) + '\0', true});
  all.push_back({"twice", std::string(der) + std::string(der), true});
  return all;
}

}  // namespace remediate::run::test
