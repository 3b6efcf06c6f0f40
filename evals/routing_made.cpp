// The seeded sets: arithmetic and code.
#include <functional>
#include <random>
#include <set>

#include <fmt/format.h>

#include "evals/routing_questions.h"

namespace pmt::evals {
namespace {

class Draw {
 public:
  explicit Draw(unsigned seed) : random_(seed) {}
  int operator()(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  std::string letter() { return std::string(1, "aeinorst"[(*this)(0, 7)]); }

 private:
  std::mt19937 random_;
};

/// So many different ones.
std::vector<RoutingQuestion> different(int n, const std::function<RoutingQuestion(int)>& make) {
  std::vector<RoutingQuestion> out;
  std::set<std::string> seen;
  for (int i = 0; static_cast<int>(out.size()) < n && i < 50 * n; ++i) {
    RoutingQuestion one = make(static_cast<int>(out.size()));
    if (seen.insert(one.text).second) out.push_back(std::move(one));
  }
  return out;
}

struct Sum {
  std::string text;
  int value = 0;
};

Sum sum_of(int kind, Draw& draw) {
  const int a = draw(11, 99), b = draw(11, 99), c = draw(3, 9), d = draw(120, 980);
  switch (kind % 8) {
    case 0:
      return {fmt::format("What is {} + {}?", a, d), a + d};
    case 1:
      return {fmt::format("What is {} - {}?", d, a), d - a};
    case 2:
      return {fmt::format("What is {} * {}?", a, c), a * c};
    case 3:
      return {fmt::format("What is {} * {}?", a, b), a * b};
    case 4:
      return {fmt::format("What is ({} + {}) * {}?", a, b, c), (a + b) * c};
    case 5:
      return {fmt::format("What is {} percent of {}?", 5 * c, 20 * a), c * a};
    case 6:
      return {fmt::format("What is {} * {} - {}?", a, c, b), a * c - b};
    default:
      return {fmt::format("What is {} + {} + {}?", a, d, b), a + d + b};
  }
}

struct Task {
  std::string what, reference, tries;
};

constexpr int kListKinds = 9, kTextKinds = 9, kNumberKinds = 6;

constexpr char kLists[] =
    "[[], [3], [4, 9, 12, 7, 30, 15, 8], [-6, 0, 5, 5, 21, 14], [2, 2, 2, 11, 10, 40, 33, 18]]";
constexpr char kTexts[] =
    "['', 'a', 'The rain in Spain', 'never odd or even', 'Anne sat on an old stone', 'streets of stars', 'toot']";

Task list_task(int kind, Draw& draw) {
  const int k = draw(2, 6);
  switch (kind) {
    case 0:
      return {
          fmt::format("takes a list xs of integers and returns the sum of those that are divisible by {}", k),
          fmt::format("sum(x for x in xs if x % {} == 0)", k), kLists};
    case 1:
      return {fmt::format(
                  "takes a list xs of integers and returns a list of every {}-th element, beginning with the "
                  "first",
                  k),
              fmt::format("xs[::{}]", k), kLists};
    case 2:
      return {fmt::format(
                  "takes a list xs of integers and returns its elements that are larger than {}, sorted from "
                  "largest to smallest",
                  k),
              fmt::format("sorted((x for x in xs if x > {}), reverse=True)", k), kLists};
    case 3:
      return {
          fmt::format(
              "takes a list xs of integers and returns its {} largest different values in ascending order, "
              "or all of them if there are fewer",
              k),
          fmt::format("sorted(set(xs))[-{}:]", k), kLists};
    case 4:
      return {fmt::format("takes a list xs and returns it rotated to the left by {} places", k),
              fmt::format("(xs[{0} % len(xs):] + xs[:{0} % len(xs)]) if xs else []", k), kLists};
    case 5:
      return {fmt::format(
                  "takes a list xs of integers and returns the list of the sums of each {} neighbours in a "
                  "row, from left to right",
                  k),
              fmt::format("[sum(xs[i:i + {0}]) for i in range(len(xs) - {0} + 1)]", k), kLists};
    case 6:
      return {
          fmt::format("takes a list xs of integers and returns it with every number that is divisible by {} "
                      "replaced by 0",
                      k),
          fmt::format("[0 if x % {} == 0 else x for x in xs]", k), kLists};
    case 7:
      return {fmt::format(
                  "takes a list xs and returns a list of lists: xs cut into pieces of {} elements, the last "
                  "one possibly shorter",
                  k),
              fmt::format("[xs[i:i + {0}] for i in range(0, len(xs), {0})]", k), kLists};
    default:
      return {
          fmt::format(
              "takes a list xs of integers and returns how often the difference of two neighbours is more "
              "than {}",
              k),
          fmt::format("sum(abs(a - b) > {} for a, b in zip(xs, xs[1:]))", k), kLists};
  }
}

Task text_task(int kind, Draw& draw) {
  const int k = draw(2, 6);
  const std::string letter = draw.letter();
  switch (kind) {
    case 0:
      return {
          fmt::format(
              "takes a string xs and returns a list of its words that are longer than {} letters, in their "
              "order",
              k),
          fmt::format("[w for w in xs.split() if len(w) > {}]", k), kTexts};
    case 1:
      return {fmt::format("takes a string xs and returns it reversed and without the letter '{}'", letter),
              fmt::format("xs[::-1].replace('{}', '')", letter), kTexts};
    case 2:
      return {
          fmt::format("takes a string xs and returns how many of its words contain the letter '{}'", letter),
          fmt::format("sum('{}' in w for w in xs.split())", letter), kTexts};
    case 3:
      return {
          "takes a string xs and returns a dict from the length of a word to how many words of xs have it",
          "{n: [len(w) for w in xs.split()].count(n) for n in set(len(w) for w in xs.split())}", kTexts};
    case 4:
      return {"takes a string xs and returns whether it reads the same backwards, case and spaces apart",
              "(lambda s: s == s[::-1])(xs.lower().replace(' ', ''))", kTexts};
    case 5:
      return {
          fmt::format(
              "takes a string xs and returns it with every {}-th character, counted from 1, in upper case "
              "and all others as they are",
              k),
          fmt::format("''.join(c.upper() if i % {} == 0 else c for i, c in enumerate(xs, 1))", k), kTexts};
    case 6:
      return {
          fmt::format(
              "takes a string xs and returns the position of the second '{}' in it, counted from 0, or -1 "
              "if there are fewer than two",
              letter),
          fmt::format("xs.find('{0}', xs.find('{0}') + 1) if '{0}' in xs else -1", letter), kTexts};
    case 7:
      return {
          "takes a string xs and returns its longest word, the first of them if several are as long, and an empty "
          "string if there is none",
          "max(xs.split(), key=len, default='')", kTexts};
    default:
      return {
          fmt::format(
              "takes a string xs and shifts each lower-case letter by {} in the alphabet, from z on to a; "
              "everything else stays",
              k),
          fmt::format("''.join(chr((ord(c) - 97 + {}) % 26 + 97) if 'a' <= c <= 'z' else c for c in xs)", k),
          kTexts};
  }
}

Task number_task(int kind, Draw& draw) {
  const int k = draw(2, 9);
  constexpr char kNumbers[] = "[0, 1, 2, 7, 10, 36, 97, 100, 255]";
  switch (kind) {
    case 0:
      return {
          fmt::format(
              "takes an integer xs of 0 or more and returns the sum of the squares of the numbers from 1 to "
              "xs, xs included, that are not divisible by {}",
              k),
          fmt::format("sum(i * i for i in range(1, xs + 1) if i % {})", k), kNumbers};
    case 1:
      return {
          fmt::format("takes an integer xs of 0 or more and returns it written in base {} as a string", k),
          fmt::format(
              "(lambda g: g(g, xs))(lambda g, n: str(n) if n < {0} else g(g, n // {0}) + str(n % {0}))", k),
          kNumbers};
    case 2:
      return {"takes an integer xs of 0 or more and returns whether it is a prime number",
              "xs > 1 and all(xs % i for i in range(2, xs))", kNumbers};
    case 3:
      return {
          fmt::format(
              "takes an integer xs of 0 or more and returns the smallest multiple of {} that is larger than "
              "xs",
              k),
          fmt::format("(xs // {0} + 1) * {0}", k), kNumbers};
    case 4:
      return {
          fmt::format("takes an integer xs of 0 or more and returns how many of the numbers from 1 to xs, xs "
                      "included, end with the digit {}",
                      k),
          fmt::format("sum(i % 10 == {} for i in range(1, xs + 1))", k), kNumbers};
    default:
      return {fmt::format(
                  "takes an integer xs of 0 or more and returns the sum of its decimal digits times {}", k),
              fmt::format("sum(map(int, str(xs))) * {}", k), kNumbers};
  }
}

}  // namespace

std::vector<RoutingQuestion> arithmetic_questions(int n, unsigned seed) {
  Draw draw(seed);
  return different(n, [&](int i) {
    const Sum sum = sum_of(i, draw);
    return RoutingQuestion{.set = "arithmetic",
                           .text = sum.text + " Answer with the number alone.",
                           .answers = {std::to_string(sum.value)},
                           .max_tokens = 24};
  });
}

std::vector<RoutingQuestion> code_questions(int n, unsigned seed) {
  Draw draw(seed);
  return different(n, [&](int) {
    const int kind = draw(0, kListKinds + kTextKinds + kNumberKinds - 1);
    const Task task = kind < kListKinds                ? list_task(kind, draw)
                      : kind < kListKinds + kTextKinds ? text_task(kind - kListKinds, draw)
                                                       : number_task(kind - kListKinds - kTextKinds, draw);
    return RoutingQuestion{
        .set = "code",
        .text = fmt::format("Write a Python function f(xs) that {}. Give the code alone, without comments.",
                            task.what),
        .check = fmt::format("import copy\nreference = lambda xs: {}\n"
                             "print(all(f(copy.deepcopy(x)) == reference(x) for x in {}))",
                             task.reference, task.tries),
        .max_tokens = 200};
  });
}

}  // namespace pmt::evals
