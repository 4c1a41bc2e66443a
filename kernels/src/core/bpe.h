// Words into tokens by merges of pairs (BPE; Sennrich, Haddow and Birch 2016).
//
// Takes the tokens and merges of a vocabulary as GGUF files have them, which anyone may have written. Promises the ids
// that the library `tokenizers` gives: of all neighbours that a merge joins, those of the first merge are joined first,
// the leftmost of equal ones. A word of n letters takes n log n steps. The tables' hashes are keyed with random numbers,
// so that no file and no text makes them slow. Encoding changes nothing: threads may share it.
//
// Refuses a token that is empty or there twice, a merge that does not join two tokens to a third, and data that end
// before their strings do.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tensorlogic {

inline constexpr uint32_t kNoToken = 0xffffffff;

// Four secret words, and hashes by them: whoever does not know them cannot choose texts of equal hashes.
class Hash {
 public:
  Hash();
  uint64_t operator()(std::string_view text) const;
  uint64_t operator()(uint32_t left, uint32_t right) const;

 private:
  std::array<uint64_t, 4> secret_;
};

// The texts of tokens, one after the other, and their ids by text. About 20 bytes a token and its text.
class TokenTable {
 public:
  // False where the data end before or are too large, and for a token that is empty or there twice.
  bool read(const Hash& hash, std::string_view data, int64_t count);
  // `kNoToken` for a text that is none.
  uint32_t find(const Hash& hash, std::string_view text) const;
  std::string_view text(uint32_t id) const {
    return std::string_view(texts_).substr(begins_[id], begins_[id + 1] - begins_[id]);
  }
  uint32_t size() const { return static_cast<uint32_t>(begins_.size()) - 1; }

 private:
  // With a part of the hash, which tells nearly all other texts without a look at them.
  struct Slot {
    uint32_t id = kNoToken;
    uint32_t hash = 0;
  };

  size_t place_of(uint64_t hash, std::string_view text) const;

  std::string texts_;
  std::vector<uint32_t> begins_{0};
  std::vector<Slot> slots_;
};

// What pairs of tokens are joined to, and how early. About 40 bytes a pair.
class PairTable {
 public:
  struct Merge {
    uint32_t left = 0, right = 0;
    uint32_t rank = 0;  // the lowest is joined first
    uint32_t joined = kNoToken;
  };

  void make_room(int64_t count);
  // For no more than there is room for; a pair that is there keeps its rank.
  void add(const Hash& hash, const Merge& merge);
  // `joined` is `kNoToken` for a pair that is none.
  const Merge& find(const Hash& hash, uint32_t left, uint32_t right) const {
    return slots_[place_of(hash, left, right)];
  }

 private:
  size_t place_of(const Hash& hash, uint32_t left, uint32_t right) const;

  std::vector<Merge> slots_;
};

class Bpe {
 public:
  // `count` strings from the beginning of `data` on.
  struct Strings {
    std::string_view data;
    int64_t count;
  };
  // `whole_words`: a word that is a token is that token, however it would be merged. `byte_fallback`: a letter that is
  // no token is written by the tokens of its bytes, `<0x0A>` and the like.
  struct Rules {
    bool whole_words;
    bool byte_fallback;
  };

  // Of nothing is kept a view. No text makes a token that is `apart`, nor is it part of a merge. Nothing for what is
  // refused, or an id that is none.
  static std::optional<Bpe> made(const Strings& tokens, const Strings& merges, std::span<const int64_t> apart,
                                 Rules rules);

  // The ids of words in UTF-8, one after the other. A letter that is no token and has not all the tokens of its bytes is
  // left out.
  std::vector<uint32_t> encode(std::span<const std::string> words) const;

 private:
  class Merging;

  bool read_merges(const Strings& merges);
  uint32_t find(std::string_view text) const;

  Hash hash_;
  TokenTable tokens_;
  PairTable pairs_;
  std::vector<bool> apart_;
  std::array<uint32_t, 256> bytes_;
  bool whole_words_ = false;
};

}  // namespace tensorlogic
