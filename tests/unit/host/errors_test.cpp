#include "remediate/host/posix/errors.h"

#include <cerrno>

#include <catch2/catch.hpp>

using namespace remediate;
using namespace remediate::host::posix;

TEST_CASE("errno values become the codes that callers branch on", "[host]") {
  const auto [number, code] = GENERATE(table<int, Code>({
      {ENOENT, Code::not_found},
      {EEXIST, Code::already_exists},
      {EACCES, Code::permission},
      {EPERM, Code::permission},
      {ENOSPC, Code::no_space},
      {EDQUOT, Code::no_space},
      {EROFS, Code::read_only},
      {EXDEV, Code::unsupported},
      {EOPNOTSUPP, Code::unsupported},
      {ENOSYS, Code::unsupported},
      {ELOOP, Code::refused},
      {ENOTDIR, Code::refused},
      {EISDIR, Code::refused},
      {ENOTEMPTY, Code::refused},
      {EBUSY, Code::refused},
      {ETXTBSY, Code::refused},
      {ENAMETOOLONG, Code::bad_input},
      {EMFILE, Code::io},
      {ENFILE, Code::io},
      {EIO, Code::io},
      {EBADF, Code::io},
      {EINVAL, Code::io},
  }));
  const Error error = os_error(number, "open", "/srv/x");
  CHECK(error.code == code);
  CHECK(error.os_error == number);
  CHECK(error.message == "cannot open /srv/x: " + errno_text(number));
}

TEST_CASE("names in messages cannot steer a terminal", "[host]") {
  const Error error = os_error(ENOENT, "open", "/srv/\x1b[2J\nx");
  CHECK(error.message.find('\x1b') == std::string::npos);
  CHECK(error.message.find('\n') == std::string::npos);
}

TEST_CASE("a name is joined with one slash", "[host]") {
  CHECK(joined("/srv", "x") == "/srv/x");
  CHECK(joined("/", "x") == "/x");
  CHECK(joined("/srv", "") == "/srv");
}
