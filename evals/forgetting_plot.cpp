#include "evals/forgetting_plot.h"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>

namespace pmt::evals {
namespace {

constexpr int kWidth = 350, kHeight = 230;                      // of a panel
constexpr int kLeft = 56, kTop = 46, kAcross = 250, kUp = 132;  // its axes
constexpr int kColumns = 2, kLegend = 66;

// The first domain is the warmest line: the one that has the most to lose.
std::string colour(std::size_t domain, std::size_t domains) {
  const double share = domains < 2 ? 0 : static_cast<double>(domain) / static_cast<double>(domains - 1);
  return fmt::format("hsl({:.0f} 78% 44%)", 8 + 202 * share);
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

class Panel {
 public:
  Panel(std::ofstream& svg, const Retention& method, std::size_t domains)
      : svg_(svg), method_(method), domains_(domains) {}

  void draw() {
    axes();
    for (std::size_t d = domains_; d-- > 0;) line(d);
    std::string points;
    for (std::size_t after = 0; after < method_.after.size(); ++after)
      points += fmt::format("{:.1f},{:.1f} ", x(after), y(mean(method_.after[after])));
    svg_ << fmt::format("<polyline class=\"mean\" points=\"{}\"/>\n", points);
    if (method_.after.empty()) return;
    const double last = mean(method_.after.back());
    svg_ << fmt::format("<text class=\"end\" x=\"{:.1f}\" y=\"{:.1f}\">{:.0f}%</text>\n",
                        x(method_.after.size() - 1) + 8, y(last) + 4, 100 * last);
  }

 private:
  double x(std::size_t after) const {
    return kLeft + 8 +
           (kAcross - 16) * static_cast<double>(after) /
               static_cast<double>(std::max<std::size_t>(1, domains_ - 1));
  }
  static double y(double share) { return kTop + kUp * (1 - share); }

  void axes() {
    svg_ << fmt::format("<text class=\"title\" x=\"{}\" y=\"{}\">{}</text>\n", kLeft, kTop - 16,
                        method_.method);
    for (int tick = 0; tick <= 4; ++tick) {
      const double at = y(tick / 4.0);
      svg_ << fmt::format("<path class=\"grid\" d=\"M{} {:.1f}h{}\"/>\n", kLeft, at, kAcross)
           << fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}%</text>\n", kLeft - 6, at + 4,
                          25 * tick);
    }
    for (std::size_t after = 0; after < domains_; ++after)
      svg_ << fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x(after),
                          kTop + kUp + 17, after + 1);
    svg_ << fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">domains taught so far</text>\n",
                        kLeft + kAcross / 2, kTop + kUp + 35);
  }
  void line(std::size_t domain) {
    if (domain >= method_.after.size()) return;
    std::string points;
    for (std::size_t after = domain; after < method_.after.size(); ++after)
      points += fmt::format("{:.1f},{:.1f} ", x(after), y(method_.after[after][domain]));
    const std::string shade = colour(domain, domains_);
    svg_ << fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" points=\"{}\"/>\n", shade,
                        points)
         << fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\" fill=\"{}\"/>\n", x(domain),
                        y(method_.after[domain][domain]), shade);
  }

  std::ofstream& svg_;
  const Retention& method_;
  const std::size_t domains_;
};

void legend(std::ofstream& svg, int top, std::size_t domains) {
  svg << fmt::format("<g transform=\"translate({} {})\">\n", kLeft, top);
  for (std::size_t d = 0; d < domains; ++d)
    svg << fmt::format("<path d=\"M{} 0h26\" stroke=\"{}\" stroke-width=\"3\"/>", d * 30, colour(d, domains))
        << fmt::format("<text x=\"{}\" y=\"17\" text-anchor=\"middle\">{}</text>\n", d * 30 + 13, d + 1);
  const std::size_t right = domains * 30 + 10;
  svg << fmt::format("<text x=\"{}\" y=\"4\">a domain, by when it was taught (dot: just after)</text>\n",
                     right)
      << fmt::format(
             "<path class=\"mean\" d=\"M{} 13h26\"/><text x=\"{}\" y=\"17\">mean of the domains so far; the "
             "number: at the end</text>\n",
             right, right + 32)
      << "</g>\n";
}

}  // namespace

bool plot(const std::string& path, const std::vector<Retention>& methods) {
  std::ofstream svg(path);
  std::size_t domains = 0;
  for (const Retention& method : methods) domains = std::max(domains, method.after.size());
  const int columns = std::min(kColumns, static_cast<int>(methods.size()));
  const int rows = (static_cast<int>(methods.size()) + kColumns - 1) / kColumns;
  const int width = std::max(kWidth * columns, 2 * kWidth), height = 34 + kHeight * rows + kLegend;
  svg << fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" ",
             width, height, width, height)
      << "font-family=\"system-ui, sans-serif\" font-size=\"11\">\n"
         "<style>.page{fill:#fff}text{fill:#333}.title{font-size:13px;font-weight:600}"
         ".end{font-weight:600}.grid{stroke:#ddd;fill:none}"
         ".mean{stroke:#111;stroke-width:2.4;stroke-dasharray:5 3;fill:none}"
         "@media(prefers-color-scheme:dark){.page{fill:#14171c}text{fill:#ccd}.grid{stroke:#333a44}"
         ".mean{stroke:#fff}}</style>\n"
      << fmt::format("<rect class=\"page\" width=\"{}\" height=\"{}\"/>\n", width, height)
      << fmt::format("<text class=\"title\" x=\"{}\" y=\"24\">", kLeft)
      << "Share of each domain's facts recalled, after each domain taught</text>\n";
  for (std::size_t i = 0; i < methods.size(); ++i) {
    svg << fmt::format("<g transform=\"translate({} {})\">\n", kWidth * (static_cast<int>(i) % kColumns),
                       34 + kHeight * (static_cast<int>(i) / kColumns));
    Panel(svg, methods[i], domains).draw();
    svg << "</g>\n";
  }
  legend(svg, height - kLegend + 26, domains);
  svg << "</svg>\n";
  return static_cast<bool>(svg);
}

}  // namespace pmt::evals
