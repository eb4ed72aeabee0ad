#include "remediate/base/encoding.h"

#include <map>
#include <random>

#include <catch2/catch.hpp>

namespace remediate {
namespace {

std::string random_bytes(std::mt19937& random, std::size_t most) {
  std::string bytes(random() % (most + 1), '\0');
  for (char& c : bytes) c = static_cast<char>(random() & 0xff);
  return bytes;
}

}  // namespace

TEST_CASE("hexadecimal: known values and refusals") {
  CHECK(hex_encode(std::string_view("\x00\x7f\xff", 3)) == "007fff");
  CHECK(hex_decode("007FfF") == std::string("\x00\x7f\xff", 3));
  CHECK(hex_decode("") == "");
  for (const char* bad : {"0", "0g", " 00", "0x00", "00 ", "-1"}) {
    INFO(bad);
    CHECK_FALSE(hex_decode(bad));
  }
}

TEST_CASE("base64: the vectors of RFC 4648") {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(base64_encode(bytes) == text);
    CHECK(base64_decode(text) == bytes);
  }
}

TEST_CASE("base64: only the one canonical spelling is read") {
  for (const char* bad : {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v\n", "Zm 9", "=",
                          "====", "Z===", "Zg==Zg==", "Zm9-", "Zm9_", "Zm8=x"}) {
    INFO(bad);
    CHECK_FALSE(base64_decode(bad));
  }
}

TEST_CASE("random bytes survive hexadecimal and base64") {
  std::mt19937 random(42);
  for (int round = 0; round < 3'000; ++round) {
    const std::string bytes = random_bytes(random, 70);
    CHECK(hex_decode(hex_encode(bytes)) == bytes);
    CHECK(base64_decode(base64_encode(bytes)) == bytes);
  }
}

TEST_CASE("a base64 text that is read is written the same way") {
  std::mt19937 random(43);
  constexpr std::string_view kAlphabet = "ABab01+/==";
  int read = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text(4 * (random() % 3), ' ');
    for (char& c : text) c = kAlphabet[random() % kAlphabet.size()];
    if (const auto bytes = base64_decode(text)) {
      ++read;
      CHECK(base64_encode(*bytes) == text);
    }
  }
  CHECK(read > 100);
}

TEST_CASE("UTF-8 by RFC 3629") {
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                           "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(is_utf8(good));
  }
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3\x28"}) {
    INFO(hex_encode(bad));
    CHECK_FALSE(is_utf8(bad));
    CHECK(utf8_prefix(std::string("ab") + bad) == 2);
  }
}

TEST_CASE("display keeps what can be read and escapes the rest") {
  CHECK(display("web shell.aspx") == "web shell.aspx");
  CHECK(display("J\xc3\xbcrgen \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80") ==
        "J\xc3\xbcrgen \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80");
  CHECK(display("a\nb\tc\\d") == "a\\nb\\tc\\\\d");
  CHECK(display("\x1b[31m\r\x7f") == "\\x1b[31m\\x0d\\x7f");
  CHECK(display(std::string_view("\0", 1)) == "\\x00");
  CHECK(display("\xff\xc3(") == "\\xff\\xc3(");
  CHECK(display("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(display("\xc2\x9b") == "\\u{009b}");           // C1 control sequence introducer
  CHECK(display("\xe2\x80\xae") == "\\u{202e}");       // right-to-left override
  CHECK(display("\xe2\x81\xa6") == "\\u{2066}");       // left-to-right isolate
  CHECK(display("\xd8\x9c") == "\\u{061c}");           // Arabic letter mark
  CHECK(display("a\xe2\x80\x8b") == "a\\u{200b}");     // zero-width space
  CHECK(display("\xe2\x80\xa8") == "\\u{2028}");       // line separator
  CHECK(display("\xef\xbb\xbf") == "\\u{feff}");       // byte order mark
  CHECK(display("\xf3\xa0\x81\x81") == "\\u{e0041}");  // tag
  CHECK(display("\xef\xbf\xbf") == "\\u{ffff}");       // noncharacter
}

TEST_CASE("display cuts at whole characters and says so") {
  CHECK(display("abcdef", 6) == "abcdef");
  CHECK(display("abcdef", 4) == "abcd\\...[2 more bytes]");
  CHECK(display("ab\xe2\x82\xac", 4) == "ab\\...[3 more bytes]");
  CHECK(display("ab\n", 3) == "ab\\...[1 more bytes]");
  CHECK(display("abc", 0) == "\\...[3 more bytes]");
}

TEST_CASE("no name escapes its display") {
  std::mt19937 random(44);
  const std::string nasty[] = {"\x1b]0;", "\xe2\x80\xae",     "\xc2\x85", "\\x41", "\xe2",
                               "\n",      "\xf3\xa0\x80\x81", "\xc3\xa9", "a"};
  std::map<std::string, std::string> shown_as;
  for (int round = 0; round < 5'000; ++round) {
    std::string name = random_bytes(random, 12);
    for (int i = 0; i < 3; ++i) name += nasty[random() % std::size(nasty)];
    const std::string shown = display(name);
    CHECK(is_utf8(shown));
    for (const char c : shown) {
      const auto byte = static_cast<unsigned char>(c);
      CHECK((byte >= 0x20 && byte != 0x7f));
    }
    for (const char* control : {"\xe2\x80\xae", "\xc2\x85", "\xc2\x9b", "\xf3\xa0\x80\x81"}) {
      CHECK(shown.find(control) == std::string::npos);
    }
    const auto [other, fresh] = shown_as.emplace(shown, name);
    CHECK((fresh || other->second == name));  // different names never look the same
  }
}

TEST_CASE("ASCII case rule leaves other letters alone") {
  CHECK(ascii_lower("AbZ[@`{\xc3\x89") == "abz[@`{\xc3\x89");
  CHECK(ascii_iequals("Web.CONFIG", "web.config"));
  CHECK_FALSE(ascii_iequals("a", "ab"));
  CHECK_FALSE(ascii_iequals("\xc3\x89", "\xc3\xa9"));
}

}  // namespace remediate
