#include "remediate/report/html.h"

namespace remediate::report {
namespace {

constexpr std::string_view style =
    "body{font:15px/1.45 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:62rem;"
    "margin:2rem auto;padding:0 1rem}h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;"
    "margin-top:2rem;border-bottom:1px solid #bbb}h3{font-size:1rem;margin:0 0 "
    ".4rem;white-space:pre-wrap}"
    "section.op{border:1px solid #bbb;border-left:4px solid #335;padding:.7rem 1rem;margin:.8rem 0;"
    "break-inside:avoid}code,pre,td,dd,h3{overflow-wrap:anywhere}code,pre{font-family:ui-monospace,"
    "monospace;font-size:.9em}pre{white-space:pre-wrap;background:#f6f6f4;padding:.6rem;margin:."
    "5rem "
    "0}dl{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.15rem 1rem;margin:0}"
    "dt{color:#555}dd{margin:0}table{border-collapse:collapse;width:100%}td,th{border:1px solid "
    "#bbb;padding:.25rem .5rem;text-align:left;vertical-align:top}ul{margin:.2rem "
    "0;padding-left:1.2rem}.sum{font-size:1.1rem;font-weight:600}.bad{color:#8a1111;font-weight:"
    "600}"
    "p.bad{border:2px solid #8a1111;padding:.5rem .8rem}.del{color:#8a1111}.add{color:#0b5a1e}"
    ".faint{color:#555}@media print{body{margin:0;max-width:none;font-size:11px}}";

}  // namespace

std::string escape(std::string_view text) {
  std::string safe;
  const std::string clean = shown(text);
  for (std::size_t at = 0; at < clean.size(); ++at) {
    // U+FFFE and U+FFFF are no characters of XML.
    if (clean.compare(at, 2, "\xef\xbf") == 0 && at + 2 < clean.size() &&
        (clean[at + 2] == '\xbe' || clean[at + 2] == '\xbf')) {
      safe += "\xef\xbf\xbd";
      at += 2;
      continue;
    }
    switch (clean[at]) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += clean[at];
    }
  }
  return safe;
}

std::string element(std::string_view tag, std::string_view text, std::string_view kind) {
  const std::string name(tag);
  const std::string opening = kind.empty() ? name : name + " class=\"" + std::string(kind) + "\"";
  return "<" + opening + ">" + escape(text) + "</" + name + ">";
}

std::string html_list(const std::vector<std::string>& items) {
  if (items.empty()) return {};
  std::string html = "<ul>";
  for (const std::string& item : items) html += element("li", item);
  return html + "</ul>\n";
}

std::string html_facts(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string html = "<dl>";
  for (const auto& [label, value] : facts) html += element("dt", label) + element("dd", value);
  return html + "</dl>\n";
}

std::string html_table(const std::vector<std::vector<std::string>>& rows) {
  std::string html = "<table>";
  std::string_view cell = "th";
  for (const std::vector<std::string>& row : rows) {
    html += "<tr>";
    for (const std::string& text : row) html += element(cell, text);
    html += "</tr>\n";
    cell = "td";
  }
  return html + "</table>\n";
}

std::string html_diff(std::string_view diff) {
  std::string html = "<pre>";
  for (const std::string& line : shown_lines(diff)) {
    const std::string_view kind = line.starts_with("---") || line.starts_with("+++") ? "faint"
                                  : line.starts_with("-")                            ? "del"
                                  : line.starts_with("+")                            ? "add"
                                  : line.starts_with("@@")                           ? "faint"
                                                                                     : "";
    html += element("span", line, kind) + "\n";
  }
  return html + "</pre>\n";
}

std::string html_steps(const std::vector<NextStep>& steps) {
  std::string html = "<ul>";
  for (const NextStep& step : steps) {
    html += "<li>" + escape(step.words);
    if (!step.command.empty()) html += "<br/>" + element("code", step.command);
    html += "</li>";
  }
  return html + "</ul>\n";
}

std::string html_page(std::string_view title, std::string_view body) {
  return "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head>"
         "<meta charset=\"utf-8\"/>\n<meta http-equiv=\"Content-Security-Policy\" "
         "content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
         "<meta name=\"referrer\" content=\"no-referrer\"/>\n" +
         element("title", title) + "\n<style>" + std::string(style) + "</style></head>\n<body>\n" +
         std::string(body) + "</body></html>\n";
}

}  // namespace remediate::report
