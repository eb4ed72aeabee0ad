// Replays the inputs of the given folders, and changes of them that are the same on every run.
//   fuzz_NAME SEEDS [REGRESSIONS]
// The first folder has to hold at least two inputs, so that a lost corpus is a failure.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kPrefixes = 64;
constexpr int kChanges = 200;
constexpr std::chrono::seconds kLongest{5};

class Replay {
 public:
  void run(const std::string& input, const std::string& name) {
    // A copy of exactly this size lets a sanitizer see one byte read too far.
    const std::vector<std::uint8_t> copy(input.begin(), input.end());
    const auto start = std::chrono::steady_clock::now();
    LLVMFuzzerTestOneInput(copy.data(), copy.size());
    if (std::chrono::steady_clock::now() - start > kLongest) {
      std::cerr << name << ": took more than " << kLongest.count() << " s\n";
      slow_ = true;
    }
    ++count_;
  }

  void run_changes(const std::string& input, const std::string& name) {
    run(input, name);
    const std::size_t step = std::max<std::size_t>(1, input.size() / kPrefixes);
    for (std::size_t length = 0; length < input.size(); length += step) {
      run(input.substr(0, length), name + " cut to " + std::to_string(length));
    }
    for (int change = 0; change < kChanges && !input.empty(); ++change) {
      std::string changed = input;
      for (std::uint64_t edits = 1 + next() % 4; edits > 0; --edits) {
        const std::size_t at = next() % changed.size();
        const char byte = static_cast<char>(next() & 0xff);
        switch (next() % 4) {
          case 0:
            changed[at] = byte;
            break;
          case 1:
            changed.insert(at, 1 + next() % 8, byte);
            break;
          case 2:
            changed.insert(at, input.substr(next() % input.size(), next() % 64));
            break;
          default:
            changed[at] = static_cast<char>(changed[at] ^ (1 << (next() % 8)));
        }
      }
      run(changed, name + " change " + std::to_string(change));
    }
  }

  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] bool slow() const { return slow_; }

 private:
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

  std::uint64_t state_ = 0x9e3779b97f4a7c15;
  std::size_t count_ = 0;
  bool slow_ = false;
};

std::vector<std::filesystem::path> inputs_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> inputs;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.is_regular_file()) inputs.push_back(entry.path());
    }
  }
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

int replay(int argc, char** argv) {
  Replay replay;
  for (int i = 1; i < argc; ++i) {
    const auto inputs = inputs_of(argv[i]);
    if (i == 1 && inputs.size() < 2) {
      std::cerr << argv[i] << ": at least two seeds are needed, found " << inputs.size() << "\n";
      return 1;
    }
    for (const auto& path : inputs) {
      std::ifstream file(path, std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(file),
                                std::istreambuf_iterator<char>()};
      if (file.bad()) {
        std::cerr << path << ": cannot be read\n";
        return 1;
      }
      replay.run_changes(content, path.filename().string());
    }
  }
  std::cout << replay.count() << " inputs\n";
  return replay.slow() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return replay(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
