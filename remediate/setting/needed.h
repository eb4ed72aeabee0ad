#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/error.h"
#include "remediate/base/raw_path.h"

namespace remediate::setting {

/// A file that a configuration has the server run with every page: where it is missing while the
/// configuration still names it, every page fails.
struct NeededFile {
  std::string name;  // as written: absolute, or looked for along the include path
  std::string address;
  std::size_t line = 0;
};

/// Whether configuration files of this name can say such a thing.
[[nodiscard]] bool may_need_files(std::string_view file_name);
/// What a configuration file of this name needs, in file order; nothing for names of files that say
/// no such thing. The parser's error when it is not known: the bytes speak of such a setting and
/// cannot be parsed, or the server computes the name. Pure and thread-safe.
[[nodiscard]] Result<std::vector<NeededFile>> needed_files(std::string_view file_name,
                                                           std::string_view bytes);
/// Without quotes, backslashes and the line ends behind these.
[[nodiscard]] std::string unquoted(std::string_view bytes);
/// The bytes of a configuration that cannot be parsed: it may need whatever file they speak of, by
/// its last name and however it is quoted.
class UnparsedText {
 public:
  explicit UnparsedText(std::string_view bytes) : bare_(unquoted(bytes)) {}
  [[nodiscard]] bool speaks_of(std::string_view file_name) const {
    return bare_.contains(unquoted(file_name));
  }
  /// Bytes that a look goes through.
  [[nodiscard]] std::size_t size() const { return bare_.size(); }

 private:
  std::string bare_;
};
/// Whether it may be this file, below the root: an absolute name by all of it, another by its end.
/// Links are not followed.
[[nodiscard]] bool may_be(const NeededFile& needed, const RawPath& path);

}  // namespace remediate::setting
