#include "remediate/journal/journal.h"

#include <catch2/catch.hpp>

#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "remediate/host/memory/memory_host.h"

namespace remediate::journal {
namespace {

template <class T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}
void must(const Result<void>& result) {
  if (!result) FAIL(result.error().text());
}

constexpr std::uint64_t reserve = 64u << 10;

struct Folder {
  host::MemoryHost host;
  std::unique_ptr<host::Directory> directory = must(host.make_root("/journal"));

  [[nodiscard]] Journal create() {
    return must(Journal::create(*directory, "run.jsonl", reserve, host));
  }
  [[nodiscard]] Result<Journal> reopen() { return Journal::reopen(*directory, "run.jsonl", host); }
  [[nodiscard]] std::string bytes() const {
    return must(host::read_whole(*directory, "run.jsonl", 1u << 24));
  }
  void write(const std::string& bytes) const {
    const auto file = must(directory->open_file("run.jsonl", host::Access::read_write));
    must(file->truncate(bytes.size()));
    must(file->write_at(0, bytes));
  }
};

/// Five records on the disk.
std::string filled(Folder& folder) {
  Journal journal = folder.create();
  journal.append(type::run_started, "", Json{{"plan_id", "p"}});
  journal.append(type::intent, "op-0001", Json{{"entry", Json::object()}});
  must(journal.flush());
  journal.append(type::captured, "op-0001");
  journal.append(type::done, "op-0001", Json{{"outcome", "quarantined"}, {"reason", "a\nb"}});
  journal.append(type::closed, "", Json{{"phase", "apply"}});
  must(journal.flush());
  CHECK(journal.length() == 5);
  return folder.bytes();
}

std::vector<std::string> lines(const std::string& bytes) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = bytes.find('\n', at);
    all.push_back(bytes.substr(at, end + 1 - at));
    at = end + 1;
  }
  return all;
}

Code refused(const std::string& bytes) {
  const auto contents = read_journal(bytes);
  REQUIRE_FALSE(contents);
  CHECK_FALSE(contents.error().remedy.empty());
  return contents.error().code;
}

}  // namespace

TEST_CASE("what was flushed is read again, in order and chained", "[journal]") {
  Folder folder;
  const std::string bytes = filled(folder);
  const Contents contents = must(read_journal(bytes));
  REQUIRE(contents.records.size() == 5);
  CHECK_FALSE(contents.torn);
  CHECK(contents.intact_bytes == bytes.size());
  CHECK(contents.records[0].prev == std::string(64, '0'));
  const std::vector<std::string> all = lines(bytes);
  for (std::size_t index = 0; index < all.size(); ++index) {
    const std::string digest = crypto::sha256_hex(all[index].substr(0, all[index].size() - 1));
    CHECK(contents.records[index].sequence == index + 1);
    CHECK((index + 1 < all.size() ? contents.records[index + 1].prev : contents.head) == digest);
    CHECK(format_record(contents.records[index]) == all[index]);
  }
  CHECK(contents.records[3].data["reason"] == "a\nb");
  CHECK(contents.records[3].operation == "op-0001");
  CHECK(contents.records[3].time == Timestamp{1'767'225'600, 0});

  Journal again = must(folder.reopen());
  CHECK(again.head() == contents.head);
  again.append(type::closed, "");
  must(again.flush());
  CHECK(must(read_journal(folder.bytes())).records.size() == 6);
  CHECK(folder.bytes().starts_with(bytes));
}

TEST_CASE("nothing is written before flush, and a run has one journal", "[journal]") {
  Folder folder;
  Journal journal = folder.create();
  journal.append(type::run_started, "");
  CHECK(folder.bytes().empty());
  must(journal.flush());
  CHECK_FALSE(folder.bytes().empty());
  const auto second = Journal::create(*folder.directory, "run.jsonl", reserve, folder.host);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::already_exists);
}

TEST_CASE("a torn end at any byte is cut off and the journal goes on", "[journal]") {
  Folder folder;
  const std::string bytes = filled(folder);
  const std::vector<std::string> all = lines(bytes);
  const std::size_t start = bytes.size() - all.back().size();
  for (std::size_t size = start + 1; size < bytes.size(); ++size) {
    const Contents contents = must(read_journal(bytes.substr(0, size)));
    REQUIRE(contents.torn);
    REQUIRE(contents.records.size() == 4);
    REQUIRE(contents.intact_bytes == start);
  }
  folder.write(bytes.substr(0, bytes.size() - 1));
  Journal journal = must(folder.reopen());
  CHECK(folder.bytes() == bytes.substr(0, start));
  journal.append(type::closed, "", Json{{"phase", "apply"}});
  must(journal.flush());
  CHECK(folder.bytes() == bytes);
}

TEST_CASE("reserved space that was never written is a torn end", "[journal]") {
  Folder folder;
  const std::string bytes = filled(folder);
  const std::string zeros(4096, '\0');
  for (const std::string& tail : {zeros, zeros + "\n", bytes.substr(0, 20) + zeros}) {
    const Contents contents = must(read_journal(bytes + tail));
    CHECK(contents.torn);
    CHECK(contents.records.size() == 5);
    CHECK(contents.intact_bytes == bytes.size());
  }
  // A block that never reached the disk hides what its flush wrote after it; a signed head tells.
  const Contents hidden = must(read_journal(zeros + "\n" + bytes));
  CHECK(hidden.torn);
  CHECK(hidden.records.empty());
  CHECK(hidden.intact_bytes == 0);
  CHECK(must(read_journal("")).records.empty());
  CHECK_FALSE(must(read_journal("")).torn);
}

TEST_CASE("a NUL byte that no power cut leaves is damage, not a torn end", "[journal]") {
  Folder folder;
  const std::string bytes = filled(folder);
  for (std::size_t at = 0; at + 1 < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = '\0';
    CHECK(refused(changed) == Code::corrupt);
  }
  CHECK(refused(bytes + bytes.substr(0, 20) + std::string(7, '\0') + "x\n") == Code::corrupt);
}

TEST_CASE("a record that was changed, moved, doubled or taken out is found", "[journal]") {
  Folder folder;
  const std::string bytes = filled(folder);
  const std::vector<std::string> all = lines(bytes);
  const auto joined = [](const std::vector<std::string>& some) {
    std::string text;
    for (const std::string& line : some) text += line;
    return text;
  };
  for (std::size_t index = 0; index + 1 < all.size(); ++index) {
    std::vector<std::string> changed = all;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(index));
    CHECK(refused(joined(changed)) == Code::corrupt);
    changed = all;
    changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(index), all[index]);
    CHECK(refused(joined(changed)) == Code::corrupt);
    changed = all;
    std::swap(changed[index], changed[index + 1]);
    CHECK(refused(joined(changed)) == Code::corrupt);
    changed = all;
    changed[index] = "\n";
    CHECK(refused(joined(changed)) == Code::corrupt);
  }
  CHECK(refused(bytes + all.back()) == Code::corrupt);
  // Every bit of every record but the last, which the signed head binds.
  const std::size_t end = bytes.size() - all.back().size();
  std::size_t unnoticed = 0;
  for (std::size_t at = 0; at < end; ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    if (const auto contents = read_journal(changed)) ++unnoticed;
  }
  CHECK(unnoticed == 0);
}

TEST_CASE("every flip in the last record changes the head or is refused", "[journal]") {
  Folder folder;
  const std::string bytes = filled(folder);
  const std::string head = must(read_journal(bytes)).head;
  std::size_t same = 0;
  for (std::size_t at = bytes.size() - lines(bytes).back().size(); at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    const auto contents = read_journal(changed);
    if (contents && contents->head == head && !contents->torn) ++same;
  }
  CHECK(same == 0);
}

TEST_CASE("a record of a later version is refused", "[journal]") {
  Record record{1, std::string(64, '0'), {1'767'225'600, 0}, "intent", "op-0001", Json::object()};
  CHECK(read_journal(format_record(record)));
  record.type = "teleported";
  CHECK(refused(format_record(record)) == Code::corrupt);
  CHECK_FALSE(known_type("teleported"));
  CHECK(known_type(type::not_restored));
  record.type = "intent";
  std::string line = format_record(record);
  line.insert(1, "\"more\":1,");
  CHECK(refused(line) == Code::corrupt);
}

TEST_CASE("a disk that is full is met before the first record", "[journal]") {
  Folder folder;
  must(folder.host.limit_mount("/", {.free_bytes = 1000, .free_files = 10}, true));
  const auto journal = Journal::create(*folder.directory, "run.jsonl", reserve, folder.host);
  REQUIRE_FALSE(journal);
  CHECK(journal.error().code == Code::no_space);
  CHECK(journal.error().text().find("run.jsonl") != std::string::npos);
  CHECK_FALSE(folder.directory->stat_entry("run.jsonl"));
}

TEST_CASE("a file system that cannot reserve is used without", "[journal]") {
  Folder folder;
  folder.host.set_fault_hook([](std::string_view operation, std::string_view) {
    return operation == "reserve" ? std::optional(Error{Code::unsupported, "no", ""})
                                  : std::nullopt;
  });
  CHECK(Journal::create(*folder.directory, "run.jsonl", reserve, folder.host));
}

TEST_CASE("after a write or flush that failed the journal refuses everything", "[journal]") {
  const std::string broken = GENERATE("write_at", "sync_data");
  Folder folder;
  Journal journal = folder.create();
  journal.append(type::run_started, "");
  must(journal.flush());
  const std::string before = folder.bytes();
  journal.append(type::intent, "op-0001");
  folder.host.set_fault_hook([&](std::string_view operation, std::string_view) {
    return operation == broken ? std::optional(Error{Code::io, "broken", ""}) : std::nullopt;
  });
  CHECK_FALSE(journal.flush());
  folder.host.set_fault_hook({});
  const auto again = journal.flush();
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Code::io);
  CHECK_FALSE(again.error().remedy.empty());
  journal.append(type::captured, "op-0001");
  CHECK_FALSE(journal.flush());
  // A new process goes on from what is there.
  const Journal next = must(folder.reopen());
  CHECK(next.length() == (broken == "write_at" ? 1 : 2));
  CHECK(folder.bytes().starts_with(before));
}

TEST_CASE("every call that fails while a journal is made or opened is told", "[journal]") {
  std::size_t tries = 0;
  for (const bool looks : {false, true})
    for (const char* what : {"made", "opened", "opened with a torn end", "made, too little space"})
      for (std::size_t at = 0;; ++at) {
        REQUIRE(at < 100);
        Folder folder;
        const std::string name = what;
        const bool torn = name == "opened with a torn end";
        const std::string bytes = name.starts_with("opened") ? filled(folder) : "";
        if (torn) folder.write(bytes + "{\"seq\":");
        if (name == "made, too little space")
          must(folder.host.limit_mount("/", {.free_bytes = 1000, .free_files = 10}, true));
        std::size_t calls = 0;
        std::string failed;
        const auto hook = [&](std::string_view operation, std::string_view) {
          if (calls++ != at) return std::optional<Error>();
          failed = operation;
          return std::optional(Error{Code::permission, "planted", ""});
        };
        if (looks)
          folder.host.set_look_hook(hook);
        else
          folder.host.set_fault_hook(hook);
        const auto journal =
            bytes.empty() ? Journal::create(*folder.directory, "run.jsonl", reserve, folder.host)
                          : folder.reopen();
        folder.host.set_look_hook({});
        folder.host.set_fault_hook({});
        INFO(name << ", call " << at << ", " << failed);
        if (!bytes.empty()) CHECK(folder.bytes().starts_with(bytes));
        if (failed.empty()) {
          CHECK(journal.has_value() == (name != "made, too little space"));
          break;
        }
        ++tries;
        REQUIRE_FALSE(journal);
        CHECK(journal.error().code == Code::permission);
      }
  CHECK(tries >= 15);
}

TEST_CASE("a journal that was damaged is not opened and not changed", "[journal]") {
  Folder folder;
  std::string bytes = filled(folder);
  bytes[bytes.find("op-0001")] = 'x';
  folder.write(bytes);
  const auto journal = folder.reopen();
  REQUIRE_FALSE(journal);
  CHECK(journal.error().code == Code::corrupt);
  CHECK(folder.bytes() == bytes);
}

}  // namespace remediate::journal
