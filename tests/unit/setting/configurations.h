#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "remediate/setting/provider.h"

namespace remediate::setting::test {

/// How a generated file is written; the meaning does not depend on it.
struct Style {
  enum class Ends { lf, crlf, mixed } ends = Ends::crlf;
  bool mark = false;             // byte order mark
  bool declaration = true;       // <?xml ...?>
  bool tabs = false;             // indentation
  bool final_end = true;         // line ending after the root
  bool trailing_script = false;  // comment with a script after the root
};

/// Applies line endings, indentation and the frame to text with LF, two blanks a level and no
/// declaration.
[[nodiscard]] std::string styled(const std::string& plain, const Style& style, std::uint32_t seed);

/// A small server configuration with a rogue virtual directory "/x", its location and its
/// metadata key, and decoys in comments. Plain text.
[[nodiscard]] std::string small_configuration();
[[nodiscard]] std::string web_configuration();

/// A random server configuration: sites, applications, locations, lists of every kind, secrets,
/// references, tags over lines. Each element that can carry it has its own note="n<number>".
class Generator {
 public:
  explicit Generator(std::uint32_t seed) : random_(seed) {}
  [[nodiscard]] std::string file();
  [[nodiscard]] std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }
  [[nodiscard]] bool chance(std::size_t in) { return below(in) == 0; }

 private:
  void line(int level, const std::string& text);
  [[nodiscard]] std::string note();
  [[nodiscard]] std::string value();
  void sites();
  void metadata();
  void web_server(int level, const std::string& tag);
  void locations();

  std::mt19937 random_;
  std::string out_;
  std::size_t notes_ = 0;
  std::vector<std::string> paths_;
  std::vector<std::string> metadata_;
};

[[nodiscard]] const FileProvider& provider();
[[nodiscard]] Query query(std::string kind, std::vector<AttributeTest> where = {},
                          std::string path = {});
[[nodiscard]] Edit removal(std::string address);
[[nodiscard]] Edit setting(std::string address, std::string attribute, std::string value);
/// `text` with the only occurrence of `what` replaced; fails the test when there is not just one.
[[nodiscard]] std::string replaced(std::string text, const std::string& what,
                                   const std::string& with);

}  // namespace remediate::setting::test
