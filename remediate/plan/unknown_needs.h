#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "remediate/plan/plan.h"
#include "remediate/plan/planner.h"
#include "remediate/setting/needed.h"

namespace remediate::plan {

/// Configuration files that may have the server run others with every page and that nobody could
/// read. Whatever they may speak of stays: without it every page could fail.
class UnknownNeeds {
 public:
  /// Names are looked for in the files' bytes; together at most this many bytes are compared. After
  /// that a file whose bytes were not looked through counts as one that names everything.
  static constexpr std::uint64_t max_searched_bytes = 4ull << 30;

  explicit UnknownNeeds(std::vector<UnreadSetting> unread,
                        std::uint64_t searched_bytes = max_searched_bytes);
  /// Turns removals into exclusions and takes them off `planned`. The file itself may go.
  void exclude(Plan& plan, std::map<RawPath, std::size_t>& planned);

 private:
  [[nodiscard]] std::string against(const RawPath& path);

  struct File {
    UnreadSetting setting;  // without its bytes
    setting::UnparsedText text;
  };
  std::vector<File> unread_;
  std::uint64_t left_;
};

}  // namespace remediate::plan
