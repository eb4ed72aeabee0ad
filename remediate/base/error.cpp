#include "remediate/base/error.h"

#include <utility>

namespace remediate {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::usage:
      return "usage";
    case Code::bad_input:
      return "bad_input";
    case Code::permission:
      return "permission";
    case Code::configuration:
      return "configuration";
    case Code::stale_plan:
      return "stale_plan";
    case Code::signature:
      return "signature";
    case Code::approval:
      return "approval";
    case Code::not_found:
      return "not_found";
    case Code::already_exists:
      return "already_exists";
    case Code::changed:
      return "changed";
    case Code::no_space:
      return "no_space";
    case Code::read_only:
      return "read_only";
    case Code::unsupported:
      return "unsupported";
    case Code::refused:
      return "refused";
    case Code::conflict:
      return "conflict";
    case Code::ambiguous:
      return "ambiguous";
    case Code::limit:
      return "limit";
    case Code::corrupt:
      return "corrupt";
    case Code::busy:
      return "busy";
    case Code::interrupted:
      return "interrupted";
    case Code::io:
      return "io";
    case Code::internal:
      return "internal";
  }
  return "internal";
}

int exit_code(Code code) {
  switch (code) {
    case Code::usage:
      return 64;
    case Code::bad_input:
      return 65;
    case Code::permission:
      return 77;
    case Code::configuration:
      return 78;
    case Code::stale_plan:
      return 4;
    case Code::signature:
    case Code::approval:
      return 5;
    case Code::not_found:
    case Code::already_exists:
    case Code::changed:
    case Code::no_space:
    case Code::read_only:
    case Code::unsupported:
    case Code::refused:
    case Code::conflict:
    case Code::ambiguous:
    case Code::limit:
    case Code::corrupt:
    case Code::busy:
    case Code::interrupted:
    case Code::io:
    case Code::internal:
      return 1;
  }
  return 1;
}

Error Error::wrapped(std::string outer) && {
  causes.insert(causes.begin(), std::exchange(message, std::move(outer)));
  return std::move(*this);
}

std::string Error::text() const {
  std::string line = message;
  for (const std::string& cause : causes) line.append(": ").append(cause);
  if (!remedy.empty()) line.append(" (").append(remedy).append(")");
  for (char& c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
  return line;
}

}  // namespace remediate
