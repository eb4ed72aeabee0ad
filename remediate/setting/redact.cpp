#include "remediate/setting/redact.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include <re2/re2.h>

#include "remediate/base/encoding.h"

namespace remediate::setting {
namespace {

template <std::size_t n>
bool contains_any(std::string_view text, const std::array<std::string_view, n>& words) {
  const auto lower = ascii_lower(text);
  return std::ranges::any_of(words, [&](auto word) { return lower.contains(word); });
}

}  // namespace

bool sounds_secret(std::string_view name) {
  static constexpr std::array<std::string_view, 18> words{
      "password",         "passwd",        "pwd",           "passphrase", "secret",
      "connectionstring", "validationkey", "decryptionkey", "sessionkey", "accountkey",
      "accesskey",        "apikey",        "api-key",       "api_key",    "privatekey",
      "sharedkey",        "credential",    "token"};
  if (ascii_iequals(name, "tokenChecking") || ascii_iequals(name, "publicKeyToken")) return false;
  return contains_any(name, words);
}

bool looks_secret(std::string_view value) {
  static constexpr std::array<std::string_view, 8> words{
      "[enc:",     "password=",      "pwd=",       "accountkey=",
      "accesskey", "client_secret=", "-----begin", "sharedaccess"};
  if (contains_any(value, words)) return true;
  const auto scheme = value.find("://");
  if (scheme == std::string_view::npos) return false;
  const auto host = value.substr(scheme + 3, value.find('/', scheme + 3) - scheme - 3);
  const auto at = host.find('@');
  return at != std::string_view::npos && host.substr(0, at).contains(':');
}

/// Comments and text have no attributes to go by: what looks like a secret there is masked.
std::string mask_loose_text(std::string_view text) {
  static const RE2 protected_data(
      "(?is)(<(?:configProtectedData|EncryptedData)\\b).*?(</(?:configProtectedData|EncryptedData)"
      "\\s*>|$)");
  static const RE2 encrypted("(?is)\\[enc:.*?(:enc\\]|$)");
  static const RE2 assigned(
      "(?i)([\\w.-]*(?:passw|pwd|passphrase|secret|connectionstring|validationkey|decryptionkey|"
      "sessionkey|accountkey|accesskey|api[-_]?key|privatekey|sharedkey|credential)[\\w.-]*\\s*="
      "\\s*)"
      "(\"[^\"]*\"?|'[^']*'?|[^\\s;\"'<>]+)");
  static const RE2 named(
      "(?i)((?:key|name)\\s*=\\s*[\"'][^\"']*(?:passw|pwd|secret|token|connectionstring|key|"
      "credential)[^\"']*[\"']\\s+value\\s*=\\s*)(\"[^\"]*\"?|'[^']*'?)");
  static const RE2 tagged(
      "(?is)(<(?:\\w+:)?(?:\\w*password\\w*|\\w*secret\\w*|CipherValue)\\b[^>]*>)[^<]+");
  std::string out(text);
  RE2::GlobalReplace(&out, protected_data, "\\1>[secret]\\2");
  RE2::GlobalReplace(&out, encrypted, "[secret]");
  RE2::GlobalReplace(&out, assigned, "\\1[secret]");
  RE2::GlobalReplace(&out, named, "\\1[secret]");
  RE2::GlobalReplace(&out, tagged, "\\1[secret]");
  return out;
}

namespace {

/// Like display(), but tabs and the backslashes of Windows paths stay as they are: XML text holds
/// no control character that an escape could be confused with.
void append_line(std::string& out, std::string_view line) {
  while (line.ends_with('\r')) line.remove_suffix(1);
  while (true) {
    const auto stop = line.find_first_of("\\\t");
    const auto piece = line.substr(0, stop);
    if (!piece.empty()) out += display(piece, piece.size() * 10);
    if (stop == std::string_view::npos) return;
    out.push_back(line[stop]);
    line.remove_prefix(stop + 1);
  }
}

}  // namespace

std::string display_lines(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::string out;
  while (!text.empty()) {
    const auto end = text.find('\n');
    append_line(out, text.substr(0, end));
    if (end == std::string_view::npos) break;
    out.push_back('\n');
    text.remove_prefix(end + 1);
  }
  return out;
}

namespace {

class Counterparts {
 public:
  explicit Counterparts(const Model* earlier) : earlier_(earlier) {
    if (!earlier) return;
    for (std::uint32_t i = 0; i < earlier->elements.size(); ++i)
      index_.emplace(earlier->elements[i].address_hash, i);
  }
  [[nodiscard]] const ModelElement* of(const ModelElement& element) const {
    if (!earlier_) return nullptr;
    const auto found = index_.find(element.address_hash);
    return found == index_.end() ? nullptr : &earlier_->elements[found->second];
  }

 private:
  const Model* earlier_;
  std::unordered_map<std::uint64_t, std::uint32_t> index_;
};

}  // namespace

bool opens_secret_zone(const ModelElement& element) {
  static constexpr std::array<std::string_view, 4> zones{"configProtectedData", "EncryptedData",
                                                         "CipherData", "sessionKeys"};
  if (std::ranges::any_of(zones, [&](auto zone) { return ascii_iequals(zone, element.name); }))
    return true;
  const auto* name = element.attribute("name");
  return element.name == "setting" && name && sounds_secret(*name);
}

bool is_secret_attribute(const ModelElement& element, std::string_view name,
                         std::string_view value) {
  if (element.secret || sounds_secret(name) || looks_secret(value)) return true;
  if (name != "value") return false;
  for (const auto beside : {"name", "key"})
    if (const auto* word = element.attribute(beside); word && sounds_secret(*word)) return true;
  return false;
}

bool is_secret_text(const ModelElement& element) {
  return element.secret || sounds_secret(element.name) || looks_secret(element.text);
}

std::string describe_element(const Model& model, std::uint32_t root, std::size_t max_bytes) {
  std::string out;
  std::vector<std::uint32_t> open;
  const auto close_down_to = [&](std::uint32_t next) {
    while (!open.empty() && model.elements[open.back()].subtree_end <= next) {
      out += "</" + model.elements[open.back()].name + ">";
      open.pop_back();
    }
  };
  const auto end = model.elements[root].subtree_end;
  auto i = root;
  for (; i < end && out.size() < max_bytes; ++i) {
    close_down_to(i);
    const auto& element = model.elements[i];
    out += "<" + element.name;
    for (const auto& [name, value] : element.attributes)
      out += " " + name + "=\"" +
             (is_secret_attribute(element, name, value) ? std::string(secret_mark)
                                                        : encode_attribute(value, '"')) +
             "\"";
    const bool leaf = element.subtree_end == i + 1 && element.text.empty();
    out += leaf ? " />" : ">";
    if (!element.text.empty())
      out += is_secret_text(element) ? std::string(secret_mark) : element.text;
    if (!leaf) open.push_back(i);
  }
  if (i == end) close_down_to(end);
  if (out.size() <= max_bytes && i == end) return out;
  std::size_t cut = std::min(out.size(), max_bytes);
  while (cut > 0 && cut < out.size() && (static_cast<unsigned char>(out[cut]) & 0xC0u) == 0x80u)
    --cut;
  return out.substr(0, cut) + " ... (cut)";
}

std::string redact_document(const Document& document, const Model* earlier) {
  const auto& [tree, model] = document;
  const Counterparts counterparts(earlier);
  std::vector<std::pair<Span, std::string>> masks;
  for (std::uint32_t i = 0; i < model.elements.size(); ++i) {
    const auto& element = model.elements[i];
    for (std::uint32_t a = 0; a < element.attributes.size(); ++a) {
      const auto& [name, value] = element.attributes[a];
      if (!is_secret_attribute(element, name, value)) continue;
      const auto* before = counterparts.of(element);
      const auto* old = before ? before->attribute(name) : nullptr;
      masks.emplace_back(tree.attributes[tree.elements[i].first_attribute + a].value,
                         old && *old != value ? changed_secret_mark : secret_mark);
    }
  }
  for (const auto& other : tree.others) {
    const bool text = other.kind == XmlOther::Kind::text || other.kind == XmlOther::Kind::cdata;
    if (text && is_secret_text(model.elements[other.parent])) {
      const auto& element = model.elements[other.parent];
      const auto* before = counterparts.of(element);
      masks.emplace_back(
          other.range, before && before->text != element.text ? changed_secret_mark : secret_mark);
    } else {
      const auto raw = tree.text(other.range);
      const bool zone = other.parent != no_element && model.elements[other.parent].secret;
      auto masked =
          zone ? std::string("<!--") + std::string(secret_mark) + "-->" : mask_loose_text(raw);
      if (masked != raw) masks.emplace_back(other.range, std::move(masked));
    }
  }
  std::ranges::sort(masks, {}, [](const auto& mask) { return mask.first.begin; });
  std::string out;
  std::size_t at = 0;
  for (const auto& [range, replacement] : masks) {
    out += tree.bytes.substr(at, range.begin - at);
    out += replacement;
    at = range.end;
  }
  out += tree.bytes.substr(at);
  return display_lines(out);
}

}  // namespace remediate::setting
