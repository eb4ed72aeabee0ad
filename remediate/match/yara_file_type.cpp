#include <algorithm>
#include <array>

#include "remediate/base/encoding.h"
#include "remediate/match/yara_matcher.h"

namespace remediate::match {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t looked_at = 1024;  // bytes of a script

struct Start {
  std::string_view bytes;
  std::string_view type;
};

constexpr std::array<Start, 28> binaries = {{
    {"MZ"sv, "EXE"sv},
    {"\x7f\x45LF"sv, "ELF"sv},
    {"PK\x03\x04"sv, "ZIP"sv},
    {"Rar!"sv, "RAR"sv},
    {"%PDF"sv, "PDF"sv},
    {"GIF8"sv, "GIF"sv},
    {"\xff\xd8\xff"sv, "JPG"sv},
    {"\x89PNG"sv, "PNG"sv},
    {"MSCF"sv, "CAB"sv},
    {"\x1f\x8b"sv, "GZIP"sv},
    {"7z\xbc\xaf\x27\x1c"sv, "7Zip"sv},
    {"BZh"sv, "BZip2"sv},
    {"{\\rtf"sv, "RTF"sv},
    {"MDMP"sv, "MDMP"sv},
    {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"sv, "OLE"sv},
    {"\xfe\xed\xfa\xce"sv, "MACH-O"sv},
    {"\xfe\xed\xfa\xcf"sv, "MACH-O"sv},
    {"\xce\xfa\xed\xfe"sv, "MACH-O"sv},
    {"\xcf\xfa\xed\xfe"sv, "MACH-O"sv},
    {"\xca\xfe\xba\xbe"sv, "Class"sv},
    {"L\x00\x00\x00\x01\x14\x02\x00"sv, "LNK"sv},
    {"ElfFile"sv, "EVTX"sv},
    {"regf"sv, "Registry Hive"sv},
    {"FWS"sv, "SWF"sv},
    {"CWS"sv, "SWF"sv},
    {"ZWS"sv, "SWF"sv},
    {"\xd4\xc3\xb2\xa1"sv, "WINPCAP"sv},
    {"\xa1\xb2\xc3\xd4"sv, "LIBPCAP"sv},
}};

/// In lower case.
constexpr std::array<Start, 7> scripts = {{
    {"<?php"sv, "PHP"sv},
    {"<?="sv, "PHP"sv},
    {"@echo off"sv, "BATCH"sv},
    {"<?xml"sv, "XML"sv},
    {"on error resume next"sv, "VBS"sv},
    {"option explicit"sv, "VBS"sv},
    {"<jsp:"sv, "JSP"sv},
}};

std::string_view script_type(std::string_view content) {
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
  const std::size_t start = content.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return {};
  if (content.substr(start).starts_with("Function ")) return "VBS";  // JavaScript: lower case
  const std::string text = ascii_lower(content.substr(start, looked_at));
  for (const Start& script : scripts)
    if (text.starts_with(script.bytes)) return script.type;
  if (text.starts_with("#!"))
    return text.substr(0, text.find('\n')).contains("python") ? "Python"sv : "UNIX SCRIPT"sv;
  if (!text.starts_with("<%")) return {};
  for (const std::string_view java : {"java."sv, "javax."sv, "jakarta."sv, "\"java\""sv, "<jsp:"sv,
                                      "request.getparameter"sv, "pageencoding"sv})
    if (text.contains(java)) return "JSP";
  return "ASP";
}

}  // namespace

std::string_view yara_file_type(std::string_view content) {
  for (const Start& binary : binaries)
    if (content.starts_with(binary.bytes)) return binary.type;
  const std::string_view script = script_type(content);
  return script.empty() ? "UNKNOWN" : script;
}

}  // namespace remediate::match
