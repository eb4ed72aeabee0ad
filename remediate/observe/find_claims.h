#pragma once

#include <span>
#include <string>

#include "remediate/host/host.h"
#include "remediate/observe/claims.h"

namespace remediate::observe {

/// A file of the tool that the operator named, outside its store.
struct OwnFile {
  std::string path;  // absolute, or from the working folder; links are followed
  std::string what;  // "the policy file"
};

struct ClaimQuestion {
  const host::Directory& root;
  std::span<const RawPath> files;  // below the root
  std::span<const OwnFile> own;    // those that are not there are passed over
  std::string store;               // the store's folder, which need not be there
  /// Files in use as seen before, by who may not look into processes any more; null: look now.
  const Result<host::FilesInUse>* in_use = nullptr;
};

/// Files are told by identity: another name of the same file, a store seen through another mount,
/// are found too. Processes are those of the running system, so a disk of another machine has no
/// claims of them. Packages: the databases below the root; where there are none, this system's
/// for a root that is a part of it. Changes nothing.
[[nodiscard]] Claims find_claims(host::Host& host, const ClaimQuestion& question);

}  // namespace remediate::observe
