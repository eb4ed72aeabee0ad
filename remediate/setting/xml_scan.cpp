#include "remediate/setting/xml_scan.h"

#include <algorithm>
#include <string>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/xml_characters.h"

namespace remediate::setting {
namespace {

constexpr std::string_view mark = "\xEF\xBB\xBF";

class Scanner {
 public:
  Scanner(std::string_view bytes, const ScanLimits& limits) : bytes_(bytes), limits_(limits) {
    tree_.bytes = bytes;
  }

  Result<XmlTree> run() {
    TRY(check_encoding());
    TRY(check_characters());
    at_ = bytes_.starts_with(mark) ? mark.size() : 0;
    if (ahead("<?xml") && at_ + 5 < bytes_.size() && is_xml_space(bytes_[at_ + 5]))
      TRY(declaration());
    while (at_ < bytes_.size()) TRY(bytes_[at_] == '<' ? markup() : character_data());
    if (!open_.empty()) {
      const auto& element = tree_.elements[open_.back()];
      return bad(element.range.begin, "<" + shown(element.name) + "> is never closed");
    }
    if (tree_.elements.empty()) return bad(bytes_.size(), "there is no root element");
    return std::move(tree_);
  }

 private:
  [[nodiscard]] bool ahead(std::string_view what) const {
    return bytes_.substr(at_).starts_with(what);
  }
  [[nodiscard]] static std::uint32_t narrow(std::size_t n) { return static_cast<std::uint32_t>(n); }
  [[nodiscard]] std::string shown(Span span) const { return display(span.of(bytes_), 80); }

  [[nodiscard]] std::string place(std::size_t at) const {
    at = std::min(at, bytes_.size());
    std::size_t line_begin = bytes_.starts_with(mark) && at >= mark.size() ? mark.size() : 0;
    for (std::size_t i = at; i > line_begin; --i) {
      const char c = bytes_[i - 1];
      if (c == '\n' || (c == '\r' && !(i < bytes_.size() && bytes_[i] == '\n'))) {
        line_begin = i;
        break;
      }
    }
    std::size_t column = 1;
    for (std::size_t i = line_begin; i < at; ++i)
      if ((static_cast<unsigned char>(bytes_[i]) & 0xC0u) != 0x80u) ++column;
    return "line " + std::to_string(line_of(bytes_, at)) + ", column " + std::to_string(column);
  }

  [[nodiscard]] std::unexpected<Error> bad(std::size_t at, std::string why) const {
    return fail(Code::bad_input, "configuration XML, " + place(at) + ": " + std::move(why),
                "correct the file or put a valid copy in its place; nothing was changed");
  }
  [[nodiscard]] std::unexpected<Error> bound(std::size_t at, std::string why) const {
    return fail(Code::limit, "configuration XML, " + place(at) + ": " + std::move(why),
                "check that this is a configuration file; nothing was changed");
  }

  Result<void> check_encoding() const {
    if (bytes_.size() > limits_.max_bytes)
      return fail(Code::limit,
                  "configuration XML of " + std::to_string(bytes_.size()) + " bytes; at most " +
                      std::to_string(limits_.max_bytes) + " are read",
                  "check that this is a configuration file; nothing was changed");
    const auto head = bytes_.substr(0, 4);
    using namespace std::string_view_literals;
    for (const auto sign : {"\xFF\xFE"sv, "\xFE\xFF"sv, "<\0"sv, "\0<"sv, "\0\0"sv})
      if (head.starts_with(sign))
        return fail(Code::bad_input,
                    "configuration XML, line 1, column 1: the file is UTF-16 or UTF-32; only "
                    "UTF-8 is read",
                    "save it as UTF-8 with an editor, then try again; nothing was changed");
    return {};
  }

  Result<void> check_characters() const {
    for (std::size_t at = 0; at < bytes_.size();) {
      const auto byte = static_cast<unsigned char>(bytes_[at]);
      if (byte >= 0x20 && byte < 0x80) {
        ++at;
        continue;
      }
      const auto c = character_at(bytes_, at);
      if (c.length == 0)
        return bad(at, "byte 0x" + hex_encode(bytes_.substr(at, 1)) + " is not valid UTF-8");
      if (!is_xml_character(c.code)) return bad(at, "a control character that XML does not allow");
      at += c.length;
    }
    return {};
  }

  std::size_t skip_space() {
    const std::size_t from = at_;
    while (at_ < bytes_.size() && is_xml_space(bytes_[at_])) ++at_;
    return at_ - from;
  }

  Result<Span> name(std::string_view of_what) {
    const std::size_t from = at_;
    while (at_ < bytes_.size()) {
      const auto c = character_at(bytes_, at_);
      if (!(at_ == from ? is_name_start(c.code) : is_name_character(c.code))) break;
      at_ += c.length;
    }
    if (at_ == from) return bad(at_, "the name of " + std::string(of_what) + " is expected here");
    if (at_ - from > limits_.max_name_bytes)
      return bound(from, "a name of " + std::to_string(at_ - from) + " bytes");
    return Span{narrow(from), narrow(at_)};
  }

  /// After a name: = and a quoted value. References and '<' are checked.
  Result<XmlAttribute> rest_of_attribute(XmlAttribute attribute) {
    skip_space();
    if (!ahead("="))
      return bad(at_, "'=' is expected after the attribute " + shown(attribute.name));
    ++at_;
    skip_space();
    if (!ahead("\"") && !ahead("'"))
      return bad(at_, "the value of " + shown(attribute.name) + " is not quoted");
    attribute.quote = bytes_[at_++];
    const std::size_t from = at_;
    for (; at_ < bytes_.size() && bytes_[at_] != attribute.quote; ++at_) {
      if (bytes_[at_] == '<')
        return bad(at_, "'<' in the value of " + shown(attribute.name) +
                            "; a quote may be missing before it");
      if (bytes_[at_] == '&') TRY(reference());
    }
    if (at_ >= bytes_.size())
      return bad(from - 1, "the value of " + shown(attribute.name) + " never ends");
    attribute.value = {narrow(from), narrow(at_)};
    attribute.whole.end = narrow(++at_);
    return attribute;
  }

  /// Leaves at_ on the last byte of the reference.
  Result<void> reference() {
    const auto c = reference_at(bytes_, at_);
    if (c.length == 0)
      return bad(at_,
                 "'&' that starts no character reference and none of &lt; &gt; &amp; "
                 "&quot; &apos;");
    at_ += c.length - 1;
    return {};
  }

  Result<void> declaration() {
    at_ += 5;
    std::size_t seen = 0;  // how many of the three names have passed, in order
    static constexpr std::string_view names[] = {"version", "encoding", "standalone"};
    while (true) {
      const std::size_t space = skip_space();
      if (ahead("?>")) break;
      const std::size_t from = at_;
      if (space == 0) return bad(at_, "white space or '?>' is expected in the XML declaration");
      XmlAttribute attribute;
      TRY_LET(attribute.name, name("an attribute of the XML declaration"));
      const auto key = attribute.name.of(bytes_);
      std::size_t which = seen;
      while (which < 3 && names[which] != key) ++which;
      if (which == 3 || (seen == 0 && which != 0))
        return bad(from,
                   "'" + shown(attribute.name) + "' does not belong here in the XML declaration");
      seen = which + 1;
      TRY_LET(attribute, rest_of_attribute(attribute));
      const auto value = attribute.value.of(bytes_);
      if (which == 0 && value != "1.0") return bad(from, "only XML version 1.0 is read");
      if (which == 1 && !ascii_iequals(value, "utf-8"))
        return bad(from,
                   "the encoding '" + shown(attribute.value) + "' is declared; only UTF-8 is read");
      if (which == 2 && value != "yes" && value != "no")
        return bad(from, "standalone must be yes or no");
    }
    if (seen == 0) return bad(at_, "the XML declaration has no version");
    at_ += 2;
    return {};
  }

  Result<void> add_other(XmlOther::Kind kind, std::size_t from) {
    if (tree_.others.size() >= limits_.max_others)
      return bound(from, "more than " + std::to_string(limits_.max_others) + " comments and texts");
    tree_.others.push_back(
        {kind, {narrow(from), narrow(at_)}, open_.empty() ? no_element : open_.back()});
    return {};
  }

  Result<void> character_data() {
    const std::size_t from = at_;
    bool blank = true;
    for (; at_ < bytes_.size() && bytes_[at_] != '<'; ++at_) {
      const char c = bytes_[at_];
      if (is_xml_space(c)) continue;
      if (open_.empty())
        return bad(at_, tree_.elements.empty() ? "text before the root element"
                                               : "text after the root element");
      blank = false;
      if (c == '&') TRY(reference());
      if (c == ']' && ahead("]]>")) return bad(at_, "']]>' outside a CDATA section");
    }
    if (blank) return {};
    tree_.elements[open_.back()].has_text = true;
    return add_other(XmlOther::Kind::text, from);
  }

  Result<void> markup() {
    if (ahead("<!--")) return comment();
    if (ahead("<?")) return instruction();
    if (ahead("</")) return end_tag();
    if (ahead("<![CDATA[")) return cdata();
    if (ahead("<!DOCTYPE"))
      return bad(at_, "a document type declaration; configuration files have none");
    if (ahead("<!")) return bad(at_, "'<!' that starts neither a comment nor a CDATA section");
    return start_tag();
  }

  Result<void> comment() {
    const std::size_t from = at_;
    const std::size_t dashes = bytes_.find("--", at_ + 4);
    if (dashes == std::string_view::npos) return bad(from, "the comment is never closed");
    if (!bytes_.substr(dashes + 2).starts_with(">")) return bad(dashes, "'--' inside a comment");
    at_ = dashes + 3;
    return add_other(XmlOther::Kind::comment, from);
  }

  Result<void> instruction() {
    const std::size_t from = at_;
    at_ += 2;
    TRY_LET(const Span target, name("a processing instruction"));
    if (ascii_iequals(target.of(bytes_), "xml"))
      return bad(from, "an XML declaration that is not at the very start of the file");
    if (!ahead("?>") && skip_space() == 0)
      return bad(at_, "white space is expected in the processing instruction");
    const std::size_t end = bytes_.find("?>", at_);
    if (end == std::string_view::npos)
      return bad(from, "the processing instruction is never closed");
    at_ = end + 2;
    return add_other(XmlOther::Kind::instruction, from);
  }

  Result<void> cdata() {
    const std::size_t from = at_;
    if (open_.empty()) return bad(from, "a CDATA section outside the root element");
    const std::size_t end = bytes_.find("]]>", at_ + 9);
    if (end == std::string_view::npos) return bad(from, "the CDATA section is never closed");
    at_ = end + 3;
    tree_.elements[open_.back()].has_text = true;
    return add_other(XmlOther::Kind::cdata, from);
  }

  Result<void> start_tag() {
    XmlElement element;
    element.range.begin = element.start_tag.begin = narrow(at_);
    if (open_.empty() && !tree_.elements.empty()) return bad(at_, "a second root element");
    if (open_.size() >= limits_.max_depth)
      return bound(at_, "elements nested deeper than " + std::to_string(limits_.max_depth));
    if (tree_.elements.size() >= limits_.max_elements)
      return bound(at_, "more than " + std::to_string(limits_.max_elements) + " elements");
    ++at_;
    TRY_LET(element.name, name("an element"));
    element.parent = open_.empty() ? no_element : open_.back();
    element.depth = narrow(open_.size());
    element.first_attribute = narrow(tree_.attributes.size());
    while (true) {
      const std::size_t from = at_;
      const std::size_t space = skip_space();
      if (ahead(">") || ahead("/>")) break;
      if (at_ >= bytes_.size())
        return bad(element.range.begin, "the tag <" + shown(element.name) + " never ends");
      if (space == 0) return bad(at_, "white space, '>' or '/>' is expected here");
      XmlAttribute attribute;
      attribute.whole.begin = narrow(from);
      TRY_LET(attribute.name, name("an attribute"));
      TRY_LET(attribute, rest_of_attribute(attribute));
      if (tree_.attributes.size() >= limits_.max_attributes)
        return bound(from, "more than " + std::to_string(limits_.max_attributes) + " attributes");
      tree_.attributes.push_back(attribute);
    }
    element.attribute_count = narrow(tree_.attributes.size()) - element.first_attribute;
    TRY(unique_attributes(element));
    const bool closed = ahead("/>");
    at_ += closed ? 2 : 1;
    element.start_tag.end = element.range.end = narrow(at_);
    const auto index = narrow(tree_.elements.size());
    element.subtree_end = index + 1;
    tree_.elements.push_back(element);
    if (!closed) open_.push_back(index);
    return {};
  }

  Result<void> unique_attributes(const XmlElement& element) const {
    std::vector<Span> names;
    for (std::uint32_t i = 0; i < element.attribute_count; ++i)
      names.push_back(tree_.attributes[element.first_attribute + i].name);
    std::ranges::stable_sort(names, {}, [&](Span span) { return span.of(bytes_); });
    for (std::size_t i = 1; i < names.size(); ++i)
      if (names[i].of(bytes_) == names[i - 1].of(bytes_))
        return bad(names[i].begin, "the attribute " + shown(names[i]) + " stands twice in <" +
                                       shown(element.name) + ">");
    return {};
  }

  Result<void> end_tag() {
    const std::size_t from = at_;
    at_ += 2;
    TRY_LET(const Span closing, name("an end tag"));
    skip_space();
    if (!ahead(">")) return bad(at_, "'>' is expected after </" + shown(closing));
    ++at_;
    if (open_.empty()) return bad(from, "</" + shown(closing) + "> closes nothing");
    auto& element = tree_.elements[open_.back()];
    if (element.name.of(bytes_) != closing.of(bytes_))
      return bad(from, "</" + shown(closing) + "> where </" + shown(element.name) +
                           "> is expected, opened at " + place(element.range.begin));
    element.end_tag = {narrow(from), narrow(at_)};
    element.range.end = narrow(at_);
    element.subtree_end = narrow(tree_.elements.size());
    open_.pop_back();
    return {};
  }

  std::string_view bytes_;
  const ScanLimits& limits_;
  XmlTree tree_;
  std::vector<std::uint32_t> open_;
  std::size_t at_ = 0;
};

void append_decoded(std::string& out, std::string_view raw, bool attribute) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const char c = raw[i];
    if (c == '&') {
      const auto reference = reference_at(raw, i);
      append_character(out, reference.code);
      i += reference.length - 1;
    } else if (c == '\r' || c == '\n') {
      if (c == '\r' && i + 1 < raw.size() && raw[i + 1] == '\n') ++i;
      out.push_back(attribute ? ' ' : '\n');
    } else {
      out.push_back(attribute && c == '\t' ? ' ' : c);
    }
  }
}

}  // namespace

std::vector<std::uint32_t> XmlTree::children(std::uint32_t element) const {
  std::vector<std::uint32_t> out;
  for (auto i = element + 1; i < elements[element].subtree_end; i = elements[i].subtree_end)
    out.push_back(i);
  return out;
}

Result<XmlTree> scan_xml(std::string_view bytes, const ScanLimits& limits) {
  return Scanner(bytes, limits).run();
}

std::string decode_attribute(std::string_view raw) {
  std::string out;
  append_decoded(out, raw, true);
  return out;
}

std::string text_of(const XmlTree& tree, std::uint32_t index) {
  const auto& element = tree.elements[index];
  std::string out;
  if (!element.has_text) return out;
  auto child = index + 1;
  std::size_t at = element.start_tag.end;
  while (at < element.end_tag.begin) {
    const auto rest = tree.bytes.substr(at, element.end_tag.begin - at);
    if (rest.front() != '<') {
      const auto piece = rest.substr(0, rest.find('<'));
      append_decoded(out, piece, false);
      at += piece.size();
    } else if (child < element.subtree_end && tree.elements[child].range.begin == at) {
      at = tree.elements[child].range.end;
      child = tree.elements[child].subtree_end;
    } else if (rest.starts_with("<![CDATA[")) {
      const std::size_t end = rest.find("]]>");
      for (std::size_t i = 9; i < end; ++i) {
        const bool crlf = rest[i] == '\r' && rest[i + 1] == '\n';
        if (!crlf) out.push_back(rest[i] == '\r' ? '\n' : rest[i]);
      }
      at += end + 3;
    } else if (rest.starts_with("<!--")) {
      at += rest.find("-->", 4) + 3;
    } else {
      at += rest.find("?>", 2) + 2;
    }
  }
  const auto first = std::ranges::find_if_not(out, is_xml_space);
  out.erase(out.begin(), first);
  while (!out.empty() && is_xml_space(out.back())) out.pop_back();
  return out;
}

std::string encode_attribute(std::string_view value, char quote) {
  std::string out;
  for (const char c : value) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == quote) {
      out += quote == '"' ? "&quot;" : "&apos;";
    } else if (c == '\t') {
      out += "&#x9;";
    } else if (c == '\n') {
      out += "&#xA;";
    } else if (c == '\r') {
      out += "&#xD;";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::size_t line_of(std::string_view bytes, std::size_t offset) {
  std::size_t line = 1;
  for (std::size_t i = 0; i < std::min(offset, bytes.size()); ++i)
    if (bytes[i] == '\n' || (bytes[i] == '\r' && !bytes.substr(i + 1).starts_with("\n"))) ++line;
  return line;
}

}  // namespace remediate::setting
