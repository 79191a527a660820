// SPDX-License-Identifier: LGPL-2.1-or-later
// prometheus-cpp, at the cases of bench-metrics.c. It knows no OpenMetrics: its text stands beside
// both.
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kRounds = 9;

double Measure(long n, const std::function<void()>& operation) {
  std::vector<double> times;
  for (int round = -1; round < kRounds; round++) {
    const auto begun = std::chrono::steady_clock::now();
    for (long i = 0; i < n; i++) operation();
    const std::chrono::duration<double, std::nano> took =
        std::chrono::steady_clock::now() - begun;
    if (round >= 0) times.push_back(took.count() / static_cast<double>(n));
  }
  std::sort(times.begin(), times.end());
  return times[kRounds / 2];
}

void Print(const char* name, double ns) {
  std::printf("%s\tprometheus-cpp\t%.2f\n", name, ns);
}

void FillRegistry(prometheus::Registry& registry) {
  static const char* const methods[] = {"GET", "POST", "PUT", "DELETE"};
  for (int f = 0; f < 10; f++) {
    auto& family = prometheus::BuildCounter()
                       .Name("http_requests_" + std::to_string(f) + "_total")
                       .Help("Requests.")
                       .Register(registry);
    for (int i = 0; i < 1000; i++)
      family
          .Add({{"method", methods[i % 4]},
                {"path", "/api/v1/items/" + std::to_string(i)},
                {"status", i % 3 != 0 ? "200" : "503"}})
          .Increment(f * 1000 + i);
  }
}

}  // namespace

int main() {
  // The C library drops lock prefixes before there is a second thread.
  std::mutex mutex;
  std::unique_lock<std::mutex> lock(mutex);
  std::thread sleeper([&mutex] { std::lock_guard<std::mutex> wait(mutex); });

  prometheus::Counter counter;
  Print("counter-inc", Measure(2000000, [&] { counter.Increment(); }));

  prometheus::Histogram histogram({0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
                                   2.5, 5});
  static const double seconds[] = {0.0005, 0.002, 0.004, 0.008, 0.02, 0.04, 0.08, 0.2,
                                   0.4, 0.8, 2, 4, 8, 0.03, 0.3, 0.003};
  unsigned next = 0;
  Print("histogram-observe", Measure(1000000, [&] { histogram.Observe(seconds[next++ % 16]); }));

  prometheus::Registry small;
  auto& family = prometheus::BuildCounter().Name("requests_total").Help("Requests").Register(small);
  for (int i = 0; i < 500; i++)
    family.Add({{"method", "GET"}, {"status", std::to_string(i)}});
  Print("labelled-inc", Measure(100000, [&] {
          family.Add({{"method", "GET"}, {"status", "200"}}).Increment();
        }));

  prometheus::Registry registry;
  FillRegistry(registry);
  const prometheus::TextSerializer serializer;
  std::size_t size = 0;
  const double render = Measure(3, [&] { size += serializer.Serialize(registry.Collect()).size(); });
  Print("render-text", render);
  Print("render-openmetrics", render);

  lock.unlock();
  sleeper.join();
  return size == 0;
}
