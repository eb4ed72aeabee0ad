#include "remediate/plan/wording.h"

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"

namespace remediate::plan {
namespace {

std::string size_text(std::uint64_t size) {
  return std::to_string(size) + (size == 1 ? " byte" : " bytes");
}

std::string mode_text(std::uint32_t mode) {
  std::string digits;
  for (int shift = 9; shift >= 0; shift -= 3)
    digits.push_back(static_cast<char>('0' + ((mode >> shift) & 7u)));
  return digits;
}

std::string value_text(const DirectoryValue& value, const std::optional<std::string>& text) {
  return value.attribute + (text ? " is " + display(*text) : " is absent");
}

}  // namespace

std::string address_of(const Operation& operation) {
  if (operation.action == Action::instruct) return operation.step;
  if (const auto& value = operation.setting.directory)
    return display(value->dn) + " " + value->attribute;
  if (operation.action != Action::reset_setting || operation.setting.edits.empty())
    return operation.path.display();
  const std::size_t count = operation.setting.edits.size();
  return operation.path.display() + " " + display(operation.setting.edits.front().address) +
         (count > 1 ? " and " + std::to_string(count - 1) + " more" : "");
}

std::string before_of(const Operation& operation) {
  if (operation.action == Action::instruct) return "to be done by a person";
  if (const auto& value = operation.setting.directory)
    return "object " + value->guid + ", " + value_text(*value, value->before);
  const Precondition& condition = operation.precondition;
  if (operation.action == Action::reset_setting) return "sha256 " + condition.sha256;
  const FileStat& stat = condition.metadata.stat;
  return "present: " + size_text(stat.size) + ", sha256 " + condition.sha256 + ", mode " +
         mode_text(stat.mode) + ", owner " + std::to_string(stat.owner) + ":" +
         std::to_string(stat.group) + ", modified " + format_utc(stat.modified);
}

std::string after_of(const Operation& operation, bool sealed) {
  switch (operation.action) {
    case Action::instruct:
      return "done and noted by that person";
    case Action::reset_setting:
      if (const auto& value = operation.setting.directory) return value_text(*value, value->after);
      return "sha256 " + operation.setting.after_sha256 + ", " +
             std::to_string(operation.setting.differences.size()) + " difference(s) in meaning";
    case Action::replace_file:
      return "known good: " + size_text(operation.replacement.bytes.size()) + ", sha256 " +
             operation.replacement.sha256 + ", mode " +
             mode_text(operation.precondition.metadata.stat.mode & 01777u) +
             ", owner and attributes as before, modified when it is put there; the replaced file "
             "is "
             "held in the vault and sealed";
    case Action::quarantine:
      break;
  }
  return sealed
             ? "absent: held in the vault and sealed"
             : "absent: held in the vault; too large to be sealed, so finalize will keep it held";
}

std::string inverse_of(const Operation& operation, bool sealed) {
  switch (operation.action) {
    case Action::instruct:
      return "none: the tool does nothing here";
    case Action::reset_setting:
      if (const auto& value = operation.setting.directory)
        return "put back that " + value_text(*value, value->before) +
               ", where it still has the value of this change; a later change by others stays and "
               "is reported as a conflict";
      return "take back " + std::to_string(operation.setting.differences.size()) +
             " difference(s) of this change by a three-way merge; later edits by others stay, a "
             "conflict is reported";
    case Action::replace_file:
      return "exchange back with the held original (same inode, no key needed) where the known "
             "good "
             "version is still there, else a conflict is reported; after finalize: written anew "
             "from the sealed object with the recovery key";
    case Action::quarantine:
      break;
  }
  if (!sealed)
    return "rename back from the hold (same inode, no key needed), also after finalize: "
           "it is too large to be sealed and stays held";
  return "rename back from the hold (same inode, no key needed); after finalize: written anew from "
         "the sealed object with the recovery key";
}

Result<void> check_words(const Operation& operation, const std::string& pointer) {
  const auto differs = [&](const char* member) {
    return fail(Code::bad_input,
                pointer + "/" + member + " does not say what the operation would do",
                "the plan was not made by this tool or was changed: make a new plan");
  };
  if (operation.address != address_of(operation)) return differs("address");
  if (operation.before != before_of(operation)) return differs("before");
  if (operation.after != after_of(operation, true) && operation.after != after_of(operation, false))
    return differs("after");
  // Plans of earlier versions told the same undo of every file.
  const bool sealed = operation.after == after_of(operation, true);
  if (operation.inverse != inverse_of(operation) &&
      (sealed || operation.inverse != inverse_of(operation, false)))
    return differs("inverse");
  return {};
}

}  // namespace remediate::plan
