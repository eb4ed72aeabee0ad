#include "remediate/host/posix/errors.h"

#include <cerrno>
#include <system_error>

#include "remediate/base/encoding.h"

namespace remediate::host::posix {
namespace {

struct Meaning {
  Code code;
  const char* remedy;
};

Meaning meaning(int number) {
  switch (number) {
    case ENOENT:
      return {Code::not_found, ""};
    case EEXIST:
      return {Code::already_exists, ""};
    case EACCES:
      return {Code::permission, "run as the superuser or grant the access"};
    case EPERM:
      return {Code::permission,
              "run as the superuser; if that is so already, look for the immutable or append-only "
              "attribute of the file and its directory (lsattr -d)"};
    case ENOSPC:
      return {Code::no_space, "free space or inodes on this file system"};
    case EDQUOT:
      return {Code::no_space, "raise the disk quota"};
    case EROFS:
      return {Code::read_only, "remount the file system for writing"};
    case EXDEV:
    case EOPNOTSUPP:
    case ENOSYS:
      return {Code::unsupported, ""};
    case ELOOP:
      return {Code::refused, "symbolic links are never followed: name the real directory"};
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
      return {Code::refused, ""};
    case EBUSY:
      return {Code::refused, "it is a mount point or in use by the system"};
    case ETXTBSY:
      return {Code::refused, "it is a program that is running: end it first"};
    case ENAMETOOLONG:
      return {Code::bad_input, ""};
    case EMFILE:
    case ENFILE:
      return {Code::io, "raise the limit of open files (ulimit -n)"};
    case EIO:
      return {Code::io, "look for disk errors in the kernel log"};
    default:
      return {Code::io, ""};
  }
}

std::string sentence(std::string_view verb, std::string_view raw_path, std::string_view why) {
  return "cannot " + std::string(verb) + " " + display(raw_path) + ": " + std::string(why);
}

}  // namespace

std::string errno_text(int number) { return std::generic_category().message(number); }

Error os_error(int number, std::string_view verb, std::string_view raw_path) {
  const auto [code, remedy] = meaning(number);
  return {.code = code,
          .message = sentence(verb, raw_path, errno_text(number)),
          .remedy = remedy,
          .os_error = number};
}

std::unexpected<Error> os_fail(int number, std::string_view verb, std::string_view raw_path) {
  return std::unexpected(os_error(number, verb, raw_path));
}

std::unexpected<Error> unsupported(int number, std::string_view verb, std::string_view raw_path,
                                   std::string_view why, std::string remedy) {
  return std::unexpected(Error{.code = Code::unsupported,
                               .message = sentence(verb, raw_path, why),
                               .remedy = std::move(remedy),
                               .causes = {errno_text(number)},
                               .os_error = number});
}

std::unexpected<Error> refuse(std::string_view verb, std::string_view raw_path,
                              std::string_view why, std::string remedy) {
  return fail(Code::refused, sentence(verb, raw_path, why), std::move(remedy));
}

bool means_unsupported(int number) {
  return number == EOPNOTSUPP || number == EINVAL || number == ENOSYS || number == ENOTTY;
}

std::string joined(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (name.empty()) return path;
  if (!path.ends_with('/')) path += '/';
  return path.append(name);
}

}  // namespace remediate::host::posix
