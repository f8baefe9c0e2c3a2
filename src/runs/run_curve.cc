// RunCurve: a bounded curve (run_database.h).
#include <cmath>
#include <nlohmann/json.hpp>

#include "runs/run_database.h"

namespace lyceum {
namespace {

using Point = RunCurve::Point;

Point scaled(const Point& p, double by) {
  return {p.step * by, p.tokens * by, p.loss * by, p.tokens_per_second * by};
}
Point sum(const Point& a, const Point& b) {
  return {a.step + b.step, a.tokens + b.tokens, a.loss + b.loss, a.tokens_per_second + b.tokens_per_second};
}

}  // namespace

void RunCurve::add(const Point& p) {
  if (!std::isfinite(p.step + p.tokens + p.loss + p.tokens_per_second)) return;  // a skipped step has no loss
  open_ = in_open_ == 0 ? p : sum(open_, p);
  if (++in_open_ < stride_) return;
  whole_.push_back(scaled(open_, 1.0 / static_cast<double>(in_open_)));
  in_open_ = 0;
  if (whole_.size() >= kMost) merge_neighbours();
}

void RunCurve::merge_neighbours() {
  for (size_t i = 0; i < whole_.size() / 2; ++i)
    whole_[i] = scaled(sum(whole_[2 * i], whole_[2 * i + 1]), 0.5);
  whole_.resize(whole_.size() / 2);  // kMost is even
  stride_ *= 2;
}

std::vector<Point> RunCurve::points() const {
  std::vector<Point> out = whole_;
  if (in_open_ > 0) out.push_back(scaled(open_, 1.0 / static_cast<double>(in_open_)));
  return out;
}

std::string RunCurve::json() const {
  nlohmann::ordered_json j = {{"step", nlohmann::json::array()},
                              {"tokens", nlohmann::json::array()},
                              {"loss", nlohmann::json::array()},
                              {"tokens_per_second", nlohmann::json::array()}};
  for (const Point& p : points()) {
    j["step"].push_back(p.step);
    j["tokens"].push_back(p.tokens);
    j["loss"].push_back(p.loss);
    j["tokens_per_second"].push_back(p.tokens_per_second);
  }
  return j.dump();
}

RunCurve RunCurve::from_json(const std::string& text) {
  RunCurve out;
  const auto j = nlohmann::json::parse(text, nullptr, false);
  if (!j.is_object()) return out;
  const auto column = [&](const char* name) {
    std::vector<double> values;
    if (j.contains(name) && j[name].is_array())
      for (const auto& x : j[name]) values.push_back(x.is_number() ? x.get<double>() : std::nan(""));
    return values;
  };
  const auto step = column("step"), tokens = column("tokens"), loss = column("loss"),
             speed = column("tokens_per_second");
  const size_t n = std::min({step.size(), tokens.size(), loss.size(), speed.size(), kMost});
  for (size_t i = 0; i < n; ++i) out.add({step[i], tokens[i], loss[i], speed[i]});
  return out;
}

}  // namespace lyceum
