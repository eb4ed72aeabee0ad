#include "remediate/base/dos_attributes.h"

#include <catch2/catch.hpp>

#include "remediate/base/encoding.h"

namespace remediate {
namespace {

Metadata with(const std::string& value) {
  Metadata metadata;
  metadata.attributes = {{"user.DOSATTRIB", value}, {"user.origin", "x"}};
  return metadata;
}

std::string little(std::uint32_t value) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8)
    bytes.push_back(static_cast<char>((value >> shift) & 0xffu));
  return bytes;
}

/// As Samba writes it: the text, padded; the version twice, padded; flags, attributes, times.
std::string form(const std::string& text, std::uint16_t version, std::uint32_t valid,
                 std::uint32_t attributes) {
  std::string bytes = text + '\0';
  if (bytes.size() % 2 != 0) bytes.push_back('\0');
  for (int twice = 0; twice < 2; ++twice) {
    bytes.push_back(static_cast<char>(version));
    bytes.push_back('\0');
  }
  while (bytes.size() % 4 != 0) bytes.push_back('\0');
  return bytes + little(valid) + little(attributes) + std::string(16, '\x55');
}

}  // namespace

TEST_CASE("attributes are read in every form that Samba writes", "[dos]") {
  CHECK(dos_attributes(with("0x26")) == 0x26u);
  CHECK(dos_attributes(with(std::string("0x7\0", 4))) == 0x7u);
  CHECK(dos_attributes(with(form("0x22", 3, 0x11, 0x22))) == 0x22u);
  CHECK(dos_attributes(with(form("", 4, 0x51, 0x20))) == 0x20u);
  CHECK(dos_attributes(with(form("", 5, 0x11, 0x27))) == 0x27u);
  // Bytes of a share of Samba 4: version 3 and version 4.
  CHECK(dos_attributes(with(base64_decode("MHgyMAAAAwADAAAAEQAAACAAAADf").value())) == 0x20u);
  CHECK(dos_attributes(with(base64_decode("AAAEAAQAAABRAAAAIAAAAOoV").value())) == 0x20u);
}

TEST_CASE("what is no known form says nothing", "[dos]") {
  CHECK_FALSE(dos_attributes(Metadata()));
  for (const std::string& bytes :
       {std::string(), std::string("x"), std::string("0x"), std::string("0xzz"),
        std::string("0x123456789"), std::string(1, '\0'), std::string(7, '\0'),
        form("", 3, 0x10, 0x22), form("", 9, 0x11, 0x22), form("", 4, 0x11, 0x22).substr(0, 12)}) {
    INFO(hex_encode(bytes));
    CHECK_FALSE(dos_attributes(with(bytes)));
  }
  std::string two = form("", 4, 0x11, 0x22);
  two[4] = '\x05';
  CHECK_FALSE(dos_attributes(with(two)));
}

TEST_CASE("what hides a file is told in words, and can be left out", "[dos]") {
  Metadata metadata = with(form("0x7", 3, 0x11, 0x7));
  metadata.inode_flags_known = true;
  metadata.inode_flags = 0x10;
  const std::vector<std::string> words = hiding(".x.aspx", metadata);
  REQUIRE(words.size() == 5);
  CHECK(words[0] == "hidden");
  CHECK(words[1] == "system");
  CHECK(words[2].starts_with("read-only ("));
  CHECK(words[3].find("dot") != std::string::npos);
  CHECK(words[4] == "immutable");
  CHECK(without_hiding(metadata).attributes.size() == 1);
  CHECK(hiding("x.aspx", without_hiding(metadata)).size() == 1);

  const Metadata archived = with(form("", 4, 0x11, 0x20));
  CHECK(hiding("x.aspx", archived).empty());
  CHECK(without_hiding(archived).attributes.size() == 2);
}

}  // namespace remediate
