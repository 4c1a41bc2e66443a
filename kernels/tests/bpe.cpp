// Words into tokens, beside joining by the definition.
#include "core/bpe.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "tests.h"

namespace tensorlogic::tests {
namespace {

using Texts = std::vector<std::string>;
using Ids = std::vector<uint32_t>;

std::vector<char> raw(const Texts& texts) {
  std::vector<char> data;
  for (const std::string& text : texts) {
    for (int i = 0; i < 8; ++i) data.push_back(static_cast<char>(static_cast<uint64_t>(text.size()) >> 8 * i & 0xff));
    data.insert(data.end(), text.begin(), text.end());
  }
  return data;
}

// From memory that ends where the lists do.
std::optional<Bpe> made(const Texts& tokens, const Texts& merges, const std::vector<int64_t>& apart = {},
                        Bpe::Rules rules = {false, false}) {
  const Guarded<char> first(raw(tokens)), second(raw(merges));
  auto list = [](const Guarded<char>& data, const Texts& texts) {
    return Bpe::Strings{{data.data(), static_cast<size_t>(data.size())}, static_cast<int64_t>(texts.size())};
  };
  return Bpe::made(list(first, tokens), list(second, merges), apart, rules);
}

// Tokens of the letters a to d, each made by a merge of two earlier ones.
struct RandomVocabulary {
  Texts tokens{"a", "b", "c", "d"};
  Texts merges;
  std::map<std::pair<std::string, std::string>, size_t> ranks;

  explicit RandomVocabulary(Random& random) {
    for (int i = 0; i < 60; ++i) {
      const int last = static_cast<int>(tokens.size()) - 1;
      const std::string left = tokens[random.integer(0, last)], right = tokens[random.integer(0, last)];
      if (left.size() + right.size() > 12) continue;
      if (std::ranges::find(tokens, left + right) == tokens.end()) tokens.push_back(left + right);
      ranks.try_emplace({left, right}, merges.size());
      merges.push_back(left + " " + right);
    }
  }

  // By the definition: the first merge that joins neighbours, at its first place, again and again.
  Ids encode(const std::string& word) const {
    Texts parts;
    for (char letter : word) parts.push_back({letter});
    while (true) {
      size_t best = merges.size(), at = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto found = ranks.find({parts[i], parts[i + 1]});
        if (found != ranks.end() && found->second < best) best = found->second, at = i;
      }
      if (best == merges.size()) break;
      parts[at] += parts[at + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
    Ids ids;
    for (const std::string& part : parts) {
      ids.push_back(static_cast<uint32_t>(std::ranges::find(tokens, part) - tokens.begin()));
    }
    return ids;
  }
};

void test_random_words() {
  testing("merges of random vocabularies");
  Random random(7);
  for (int round = 0; round < 40; ++round) {
    const RandomVocabulary vocabulary(random);
    const auto bpe = made(vocabulary.tokens, vocabulary.merges);
    expect(bpe.has_value(), "vocabulary %d is made", round);
    if (!bpe) return;
    Texts words;
    Ids expected;
    for (int i = 0; i < 30; ++i) {
      std::string& word = words.emplace_back();
      word.resize(static_cast<size_t>(random.integer(0, 40)));
      for (char& letter : word) letter = static_cast<char>(random.integer('a', 'd'));
      const Ids ids = vocabulary.encode(word);
      expected.insert(expected.end(), ids.begin(), ids.end());
    }
    expect(bpe->encode(words) == expected, "the ids of vocabulary %d", round);
  }
}

void test_rules() {
  testing("rules of merging");
  const Texts tokens{"a", "b", "ab", "ba", "aba", "<0xC3>", "<0xA9>", " ", " a", "<0xFF>"};
  const Texts merges{"b a", "a b", "ab a", "  a", "b a"};
  const Texts word{"aba"};
  auto is = [](const std::optional<Bpe>& bpe, const Texts& words, const Ids& ids) {
    return bpe.has_value() && bpe->encode(words) == ids;
  };
  expect(is(made(tokens, merges), word, {0, 3}), "the first of merges is %s", "first");
  expect(is(made(tokens, merges, {}, {true, false}), word, {4}), "a word that is a token is %s", "that");
  expect(is(made(tokens, merges, {3}), word, {4}), "merges of what is apart are %s", "left out");
  expect(is(made(tokens, merges, {4}, {true, false}), word, {0, 3}), "what is apart is %s", "no word");
  expect(is(made(tokens, merges, {0}), {"aab"}, {1}), "a letter that is apart is %s", "left out");
  expect(is(made(tokens, merges), {" a", "", "\xc3\xa9"}, {8}), "a text may begin with %s", "a space");
  expect(is(made(tokens, merges, {}, {false, true}), {"a\xc3\xa9"}, {0, 5, 6}), "bytes are %s", "tokens");
  expect(is(made(tokens, merges, {6}, {false, true}), {"a\xc3\xa9"}, {0}), "a letter has all bytes or %s", "none");
  // No text of Python is such.
  const Texts no_letters{"\xff", "\xc3", "a\xf0"};
  expect(is(made(tokens, merges, {}, {false, true}), no_letters, {9, 5, 0}), "bytes that are no %s", "letters");
  expect(is(made({}, {}), {"a"}, {}), "nothing gives %s", "nothing");
}

void test_refusals() {
  testing("vocabularies that are refused");
  expect(!made({"a", "b", "a"}, {}), "a token is there %s", "once");
  expect(!made({"a", ""}, {}), "a token is %s", "not empty");
  for (const char* merge : {"a b", "a c", "c a", "a", "", " ", "a ", " a", "ab"}) {
    expect(!made({"a", "b"}, {merge}), "the merge \"%s\" joins nothing", merge);
  }
  expect(!made({"a"}, {}, {1}) && !made({"a"}, {}, {-1}), "there is no such %s", "id");
  const Texts tokens{"a", "b", "ab"}, merges{"a b"};
  const std::vector<char> first = raw(tokens), second = raw(merges);
  auto made_of = [](const std::vector<char>& a, int64_t n, const std::vector<char>& b, int64_t m) {
    const Guarded<char> left(a), right(b);
    return Bpe::made({{left.data(), a.size()}, n}, {{right.data(), b.size()}, m}, {}, {false, false}).has_value();
  };
  expect(made_of(first, 3, second, 1), "whole lists are %s", "taken");
  for (std::vector<char> part = first; !part.empty();) {
    part.pop_back();
    expect(!made_of(part, 3, second, 1), "%zu bytes of tokens", part.size());
  }
  for (std::vector<char> part = second; !part.empty();) {
    part.pop_back();
    expect(!made_of(first, 3, part, 1), "%zu bytes of merges", part.size());
  }
  for (int64_t count : {int64_t{-1}, int64_t{4}, INT64_MAX}) {
    const bool refused = !made_of(first, count, second, 1) && !made_of(first, 3, second, count);
    expect(refused, "%lld strings", static_cast<long long>(count));
  }
  std::vector<char> huge = first;
  std::fill_n(huge.begin(), 8, '\xff');
  expect(!made_of(huge, 3, second, 1), "a length that no data has is %s", "told");
}

void test_long_words() {
  testing("long words");
  Texts tokens{"a"}, merges;
  for (int i = 0; i < 10; ++i) {
    merges.push_back(tokens.back() + " " + tokens.back());
    tokens.push_back(tokens.back() + tokens.back());
  }
  const auto bpe = made(tokens, merges);
  expect(bpe.has_value(), "it is %s", "made");
  if (!bpe) return;
  Ids expected(1000, 10);
  expected.push_back(0);
  expect(bpe->encode(Texts{std::string(1'024'001, 'a')}) == expected, "a million letters are %s", "joined");
}

}  // namespace

void test_bpe() {
  test_random_words();
  test_rules();
  test_refusals();
  test_long_words();
}

}  // namespace tensorlogic::tests
