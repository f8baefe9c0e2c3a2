// A progress bar for long work: one line that redraws itself on a terminal, a plain line every few seconds
// elsewhere.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace lyceum {

class Progress {
 public:
  // `total` in `unit` ("bytes" and "tokens" are shown with K/M/G); 0 when unknown.
  Progress(std::string title, double total, std::string unit);
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Sets how much is done and what to say beside the bar ("loss 3.21  412 K tokens/s"). Thread: any. Draws at
  // most ten times a second on a terminal, once in five seconds elsewhere.
  void update(double done, const std::string& note = {});
  void add(double amount);
  // Draws the last state and ends the line; idempotent.
  void finish(const std::string& note = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "1.2 GiB", "345 MiB".
std::string human_bytes(double bytes);
// "1.2 M", "345 K".
std::string human_count(double n);
// "1 h 02 min", "3 min 20 s", "4.2 s".
std::string human_seconds(double seconds);

}  // namespace lyceum
