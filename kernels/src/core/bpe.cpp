#include "core/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <tuple>

#include "core/strings.h"

namespace tensorlogic {
namespace {

template <class T>
uint64_t load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Up to eight bytes: different numbers for different texts of one length.
uint64_t load_up_to_eight(const char* from, size_t count) {
  if (count >= 8) return load<uint64_t>(from);
  if (count >= 4) return load<uint32_t>(from) | load<uint32_t>(from + count - 4) << 32;
  if (count == 0) return 0;
  return load<uint8_t>(from) | load<uint8_t>(from + count / 2) << 8 | load<uint8_t>(from + count - 1) << 16;
}

// Both halves of the product. A factor that somebody could make zero would make it foreseeable.
uint64_t folded(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Slots for `count` entries, of which at most two thirds are taken.
size_t slots_for(int64_t count) { return std::bit_ceil(static_cast<size_t>(count + count / 2 + 1)); }

// Whether there may be so many strings: a string has its length at least.
bool may_hold(std::string_view data, int64_t count) {
  return count >= 0 && count <= static_cast<int64_t>(data.size()) / kLengthBytes && data.size() < kNoToken;
}

// Of the letter that begins with this byte in UTF-8.
size_t letter_bytes(char first) {
  const auto byte = static_cast<uint8_t>(first);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

std::string byte_name(int byte) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

}  // namespace

Hash::Hash() {
  std::random_device random;
  for (uint64_t& word : secret_) word = static_cast<uint64_t>(random()) << 32 | random();
}

uint64_t Hash::operator()(std::string_view text) const {
  const char* from = text.data();
  size_t left = text.size();
  uint64_t state = secret_[0];
  for (; left > 16; from += 16, left -= 16) {
    state = folded(load<uint64_t>(from) ^ state, load<uint64_t>(from + 8) ^ secret_[1]) ^ secret_[0];
  }
  const uint64_t last = left > 8 ? load<uint64_t>(from + left - 8) : 0;
  state = folded(load_up_to_eight(from, left) ^ state, last ^ secret_[1]);
  return folded(state ^ secret_[2], text.size() ^ secret_[3]);
}

uint64_t Hash::operator()(uint32_t left, uint32_t right) const {
  const uint64_t both = static_cast<uint64_t>(left) << 32 | right;
  return folded(folded(both ^ secret_[0], std::rotl(both, 32) ^ secret_[1]) ^ secret_[2], secret_[3]);
}

bool TokenTable::read(const Hash& hash, std::string_view data, int64_t count) {
  if (!may_hold(data, count)) return false;
  texts_.reserve(data.size() - count * kLengthBytes);
  begins_.reserve(count + 1);
  slots_.resize(slots_for(count));
  int64_t place = 0;
  for (int64_t id = 0; id < count; ++id) {
    const auto text = next_string(data, place);
    if (!text || text->empty()) return false;
    const uint64_t key = hash(*text);
    Slot& slot = slots_[place_of(key, *text)];
    if (slot.id != kNoToken) return false;
    slot = {static_cast<uint32_t>(id), static_cast<uint32_t>(key >> 32)};
    texts_ += *text;
    begins_.push_back(static_cast<uint32_t>(texts_.size()));
  }
  return true;
}

uint32_t TokenTable::find(const Hash& hash, std::string_view text) const {
  return slots_[place_of(hash(text), text)].id;
}

size_t TokenTable::place_of(uint64_t hash, std::string_view text_there) const {
  const size_t last = slots_.size() - 1;
  for (size_t place = hash & last;; place = (place + 1) & last) {
    const Slot& slot = slots_[place];
    if (slot.id == kNoToken || (slot.hash == hash >> 32 && text(slot.id) == text_there)) return place;
  }
}

void PairTable::make_room(int64_t count) { slots_.resize(slots_for(count)); }

void PairTable::add(const Hash& hash, const Merge& merge) {
  Merge& slot = slots_[place_of(hash, merge.left, merge.right)];
  if (slot.joined == kNoToken) slot = merge;
}

size_t PairTable::place_of(const Hash& hash, uint32_t left, uint32_t right) const {
  const size_t last = slots_.size() - 1;
  for (size_t place = hash(left, right) & last;; place = (place + 1) & last) {
    const Merge& slot = slots_[place];
    if (slot.joined == kNoToken || (slot.left == left && slot.right == right)) return place;
  }
}

std::optional<Bpe> Bpe::made(const Strings& tokens, const Strings& merges, std::span<const int64_t> apart,
                             Rules rules) {
  Bpe bpe;
  if (!bpe.tokens_.read(bpe.hash_, tokens.data, tokens.count)) return std::nullopt;
  bpe.apart_.resize(bpe.tokens_.size());
  for (int64_t id : apart) {
    if (id < 0 || id >= tokens.count) return std::nullopt;
    bpe.apart_[id] = true;
  }
  if (!bpe.read_merges(merges)) return std::nullopt;
  for (int byte = 0; byte < 256; ++byte) bpe.bytes_[byte] = rules.byte_fallback ? bpe.find(byte_name(byte)) : kNoToken;
  bpe.whole_words_ = rules.whole_words;
  return bpe;
}

bool Bpe::read_merges(const Strings& merges) {
  if (!may_hold(merges.data, merges.count)) return false;
  pairs_.make_room(merges.count);
  std::string both;
  int64_t place = 0;
  for (int64_t rank = 0; rank < merges.count; ++rank) {
    const auto merge = next_string(merges.data, place);
    if (!merge) return false;
    // The first text may begin with a space, and is not empty.
    const size_t middle = merge->find(' ', 1);
    if (middle == std::string_view::npos) return false;
    both.assign(*merge, 0, middle).append(*merge, middle + 1);
    const uint32_t left = tokens_.find(hash_, merge->substr(0, middle));
    const uint32_t right = tokens_.find(hash_, merge->substr(middle + 1));
    const uint32_t joined = tokens_.find(hash_, both);
    if (left == kNoToken || right == kNoToken || joined == kNoToken) return false;
    if (apart_[left] || apart_[right] || apart_[joined]) continue;
    pairs_.add(hash_, {left, right, static_cast<uint32_t>(rank), joined});
  }
  return true;
}

uint32_t Bpe::find(std::string_view text) const {
  const uint32_t id = tokens_.find(hash_, text);
  return id == kNoToken || apart_[id] ? kNoToken : id;
}

// The room in which one word after the other is merged.
class Bpe::Merging {
 public:
  explicit Merging(const Bpe& bpe) : bpe_(bpe) {}

  void encode(std::string_view word, std::vector<uint32_t>& ids) {
    begin(word);
    while (!queue_.empty()) {
      std::ranges::pop_heap(queue_, later);
      const Pair pair = queue_.back();
      queue_.pop_back();
      join(pair);
    }
    for (const Symbol& symbol : symbols_) {
      if (symbol.id != kNoToken) ids.push_back(symbol.id);
    }
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  // A part of the word that is one token; `kNoToken` once it was joined to the one before.
  struct Symbol {
    uint32_t id;
    size_t before, next;
  };

  // The symbol at `place` and its next are to be joined.
  struct Pair {
    uint32_t rank, joined;
    size_t place;
  };

  static bool later(const Pair& a, const Pair& b) { return std::tie(a.rank, a.place) > std::tie(b.rank, b.place); }

  void begin(std::string_view word) {
    symbols_.clear();
    queue_.clear();
    for (size_t place = 0, count; place < word.size(); place += count) {
      count = std::min(letter_bytes(word[place]), word.size() - place);
      add(word.substr(place, count));
    }
    if (symbols_.empty()) return;
    symbols_.back().next = kNone;
    for (size_t place = 0; place < symbols_.size(); ++place) {
      if (const auto pair = pair_at(place)) queue_.push_back(*pair);
    }
    std::ranges::make_heap(queue_, later);
  }

  void add(std::string_view letter) {
    const uint32_t id = bpe_.find(letter);
    if (id != kNoToken) {
      append(id);
      return;
    }
    auto of_byte = [this](char byte) { return bpe_.bytes_[static_cast<uint8_t>(byte)]; };
    if (std::ranges::any_of(letter, [&](char byte) { return of_byte(byte) == kNoToken; })) return;
    for (char byte : letter) append(of_byte(byte));
  }

  void append(uint32_t id) { symbols_.push_back({id, symbols_.size() - 1, symbols_.size() + 1}); }

  std::optional<Pair> pair_at(size_t place) const {
    const Symbol& symbol = symbols_[place];
    if (symbol.next == kNone) return std::nullopt;
    const PairTable::Merge& merge = bpe_.pairs_.find(bpe_.hash_, symbol.id, symbols_[symbol.next].id);
    if (merge.joined == kNoToken) return std::nullopt;
    return Pair{merge.rank, merge.joined, place};
  }

  void push(size_t place) {
    if (const auto pair = pair_at(place)) {
      queue_.push_back(*pair);
      std::ranges::push_heap(queue_, later);
    }
  }

  void join(const Pair& pair) {
    Symbol& symbol = symbols_[pair.place];
    // One of the two may have been joined to something else meanwhile.
    if (symbol.id == kNoToken) return;
    const auto now = pair_at(pair.place);
    if (!now || now->joined != pair.joined) return;
    Symbol& next = symbols_[symbol.next];
    symbol.id = pair.joined;
    symbol.next = next.next;
    next.id = kNoToken;
    if (symbol.next != kNone) symbols_[symbol.next].before = pair.place;
    if (symbol.before != kNone) push(symbol.before);
    push(pair.place);
  }

  const Bpe& bpe_;
  std::vector<Symbol> symbols_;
  std::vector<Pair> queue_;
};

std::vector<uint32_t> Bpe::encode(std::span<const std::string> words) const {
  std::vector<uint32_t> ids;
  Merging merging(*this);
  for (const std::string& word : words) {
    const uint32_t whole = whole_words_ && !word.empty() ? find(word) : kNoToken;
    if (whole != kNoToken) {
      ids.push_back(whole);
    } else {
      merging.encode(word, ids);
    }
  }
  return ids;
}

}  // namespace tensorlogic
