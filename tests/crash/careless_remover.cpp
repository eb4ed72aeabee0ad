// A remover that checks every call, and the same with one bug: which, its own name tells after the
// last dot. The self-test of the error sweep must find every bug, and nothing in the careful one.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

std::string bug;
std::string store, root;

void say_done() { std::puts("{\"ok\": true, \"status\": \"done\"}"); }

[[noreturn]] void give_up(const char* what) {
  if (bug == "aborts") std::abort();
  if (bug == "says_done") {
    say_done();
    std::fflush(stdout);
    _exit(0);
  }
  if (bug == "cleans_up") std::filesystem::remove_all(store + "/hold");
  std::fprintf(stderr, "cannot %s: errno %d\n", what, errno);
  _exit(1);
}

void must(bool good, const char* what) {
  if (!good) give_up(what);
}

int opened(const std::string& path, int flags) {
  const int descriptor = open(path.c_str(), flags | O_CLOEXEC, 0600);
  must(descriptor >= 0, "open");
  return descriptor;
}

void flush(int descriptor) {
  if (fsync(descriptor) == 0 || bug == "ignores_flush") return;
  if (bug == "repeats_flush" && fsync(descriptor) == 0) return;
  give_up("flush");
}

void flush_folder(const std::string& path) {
  const int descriptor = opened(path.substr(0, path.rfind('/')), O_RDONLY | O_DIRECTORY);
  flush(descriptor);
  close(descriptor);
}

std::string slurp(const std::string& path) {
  const int descriptor = opened(path, O_RDONLY);
  std::string bytes;
  std::array<char, 256> buffer{};
  for (;;) {
    const ssize_t length = read(descriptor, buffer.data(), buffer.size());
    must(length >= 0, "read");
    if (length == 0) break;
    bytes.append(buffer.data(), static_cast<std::size_t>(length));
    if (bug == "takes_short_for_end" && length < static_cast<ssize_t>(buffer.size())) break;
  }
  close(descriptor);
  return bytes;
}

void write_all(int descriptor, const std::string& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t length = write(descriptor, bytes.data() + at, bytes.size() - at);
    if (length < 0 && errno == EINTR && bug == "spins") continue;
    if (length < 0 && bug == "ignores_write") return;
    must(length > 0, "write");
    at += static_cast<std::size_t>(length);
    if (bug == "writes_once") return;
  }
}

bool there(const std::string& path, struct stat& facts) {
  if (lstat(path.c_str(), &facts) == 0) return true;
  must(errno == ENOENT, "look");
  return false;
}

unsigned flags_of(const std::string& path) {
  const int descriptor = opened(path, O_RDONLY);
  unsigned flags = 0;
  must(ioctl(descriptor, FS_IOC_GETFLAGS, &flags) == 0, "read the flags");
  close(descriptor);
  return flags;
}

void set_immutable(const std::string& path, unsigned wanted) {
  const unsigned now = flags_of(path);
  if ((now & FS_IMMUTABLE_FL) == wanted) return;
  const int descriptor = opened(path, O_RDONLY);
  unsigned flags = (now & ~static_cast<unsigned>(FS_IMMUTABLE_FL)) | wanted;
  must(ioctl(descriptor, FS_IOC_SETFLAGS, &flags) == 0, "set the flags");
  close(descriptor);
}

void discard(const std::string& path) {
  must(unlink(path.c_str()) == 0 || errno == ENOENT, "remove");
}

void move(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0 || bug == "ignores_rename") return;
  if (bug != "copies") give_up("rename");
  const std::string bytes = slurp(from);
  const int descriptor = opened(to, O_WRONLY | O_CREAT | O_TRUNC);
  write_all(descriptor, bytes);
  close(descriptor);
  discard(from);
}

std::string hold(std::size_t n) { return store + "/hold/" + std::to_string(n); }
std::string journal() { return store + "/journal/run-naive.jsonl"; }

std::vector<std::string> targets() {
  const std::string top = slurp(store + "/root");
  return {top + "/srv/www/odd/odd\xff\n na'me \xe2\x80\xae$(x).php", top + "/srv/www/up/pair-a.php",
          top + "/srv/www/up/pair-b.php",
          top + "/Windows/System32/inetsrv/config/applicationHost.config"};
}

/// Before the effect.
void record(std::size_t n, unsigned immutable) {
  const int descriptor = opened(journal(), O_WRONLY | O_CREAT | O_APPEND);
  write_all(descriptor, std::to_string(n) + " " + std::to_string(immutable) + "\n");
  flush(descriptor);
  close(descriptor);
  flush_folder(journal());
}

void edit(const std::string& path, std::size_t n) {
  std::string bytes = slurp(path);
  const std::size_t at = bytes.rfind("<virtualDirectory path=\"/probe\"");
  if (bytes.find("<virtualDirectory path=\"/probe\"") == at) return;  // done
  record(n, 0);
  struct stat facts{};
  must(there(path, facts), "find the settings");
  const std::size_t start = bytes.rfind('\n', at) + 1;
  bytes.erase(start, bytes.find('\n', at) + 1 - start);
  const std::string built = store + "/hold/new";
  const int descriptor = opened(built, O_WRONLY | O_CREAT | O_TRUNC);
  write_all(descriptor, bytes);
  must(fchown(descriptor, facts.st_uid, facts.st_gid) == 0, "set the owner");
  must(fchmod(descriptor, facts.st_mode & 07777u) == 0, "set the mode");
  flush(descriptor);
  close(descriptor);
  discard(hold(n));  // of an attempt before
  must(link(path.c_str(), hold(n).c_str()) == 0, "keep the settings");
  if (rename(built.c_str(), path.c_str()) == 0) return;
  const int error = errno;
  unlink(hold(n).c_str());  // as it was, with one name
  errno = error;
  give_up("put the settings in place");
}

void apply() {
  must(mkdir((store + "/runs/run-naive").c_str(), 0700) == 0 || errno == EEXIST, "begin");
  const std::vector<std::string> all = targets();
  for (std::size_t n = 0; n < all.size(); ++n) {
    struct stat facts{};
    if (!there(all[n], facts)) continue;
    if (n + 1 == all.size()) {
      edit(all[n], n);
    } else {
      record(n, flags_of(all[n]) & FS_IMMUTABLE_FL);
      set_immutable(all[n], 0);
      move(all[n], hold(n));
    }
    flush_folder(all[n]);
    flush_folder(hold(n));
  }
}

void rollback() {
  struct stat facts{};
  if (!there(journal(), facts)) return;
  std::istringstream records(slurp(journal()));
  const std::vector<std::string> all = targets();
  std::size_t n = 0;
  unsigned immutable = 0;
  discard(store + "/hold/new");
  while (records >> n >> immutable) {
    if (there(hold(n), facts)) {
      move(hold(n), all.at(n));
      discard(hold(n));  // two names of one file stay after a rename
      flush_folder(all[n]);
      flush_folder(hold(n));
    }
    // A file that was taken twice has two records; only the first knows its flag.
    if (immutable != 0) set_immutable(all.at(n), immutable);
  }
}

}  // namespace

int main(int count, char** words) {
  syscall(SYS_close_range, 3u, ~0u, 0u);
  const std::string self = words[0];
  bug = self.substr(self.rfind('.') + 1);
  std::string verb, plan;
  for (int index = 1; index < count; ++index) {
    const std::string word = words[index];
    if (word == "--store")
      store = words[++index];
    else if (word == "--root")
      root = words[++index];
    else if (word == "-o")
      plan = words[++index];
    else if (word == "-p" || word == "--confirm" || word == "--format")
      ++index;
    else if (word[0] != '-' && verb.empty())
      verb = word;
  }
  if (verb == "init") {
    for (const char* folder : {"/hold", "/runs", "/journal", "/objects"})
      std::filesystem::create_directories(store + folder);
  } else if (verb == "plan") {
    const int top = opened(store + "/root", O_WRONLY | O_CREAT | O_TRUNC);
    write_all(top, root);
    const int file = opened(plan, O_WRONLY | O_CREAT | O_TRUNC);
    write_all(file, "{\"plan_id\": \"naive\"}");
  } else if (verb == "apply" || verb == "resume") {
    apply();
  } else if (verb == "rollback") {
    rollback();
  }
  say_done();
  return 0;
}
