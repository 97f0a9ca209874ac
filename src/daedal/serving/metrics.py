"""What is counted, in Prometheus's form. Names as vLLM has them, under our prefix; no label comes from a request's text."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"daedal_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"daedal_{name}", text, labels, registry=registry)

        def seconds(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"daedal_{name}_seconds", text, labels, buckets=_SECONDS, registry=registry)

        self.requests = counter(
            "http_requests", "Requests by route and status; 499 is a client that left.", "route", "status"
        )
        self.requests_open = gauge("http_requests_open", "Requests that are being answered.")
        self.request_seconds = seconds("e2e_request_latency", "From a request to the end of its answer.", "route")
        self.prompt_tokens = counter("prompt_tokens", "Tokens of prompts.", "model")
        self.cache_queries = counter("prefix_cache_queries", "Tokens of prompts that were looked up.", "model")
        self.cache_hits = counter("prefix_cache_hits", "Tokens of prompts that did not have to be read.", "model")
        self.generation_tokens = counter("generation_tokens", "Tokens written.", "model")
        self.finished = counter("request_success", "Texts by why they ended.", "model", "finished_reason")
        self.queue = seconds("request_queue_time", "From when a model has a request to when it begins on it.", "model")
        self.first_token = seconds("time_to_first_token", "From a request to its first token.", "model")
        self.next_token = seconds("inter_token_latency", "Between two pieces of a text.", "model")
        self.media_seconds = counter("media_seconds", "Seconds of sounds, tunes and clips made or heard.", "model")
        self.refusals = counter(
            "moderation_refusals", "Prompts refused and texts stopped, by what for.", "model", "of", "category"
        )
        self.moderation = seconds("moderation_time", "That the moderation model takes to judge.")
        self.held = seconds("moderation_held", "From when a piece of a text comes to when it is let through.")
        self.running = gauge("requests_running", "Texts that are being written.", "model")
        self.waiting = gauge("requests_waiting", "Texts that wait for their turn.", "model")
        self.cache_tokens = gauge("cache_tokens", "Tokens whose keys and values are held.", "model")
        self.loaded = gauge("models_loaded", "Models in memory.")
        self.memory = gauge("model_memory_bytes", "Memory of a model's process.", "model")
        self.crashes = gauge("engine_crashes", "Times that a model's process ended by itself.", "model")

    def text(self) -> bytes:
        """All of them as Prometheus reads them."""
        return generate_latest(self._registry)
