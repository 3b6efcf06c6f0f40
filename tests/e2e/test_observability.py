"""Metrics, logs and traces of the real server; a real HTTP collector takes the traces apart."""

import http.server
import json
import pathlib
import re
import threading
import time

import httpx
import openai
import pytest

from mixed_load import open_files, rss_kib
from scripted_upstream import CONFIG, UNSURE, ScriptedUpstream
from server import MODEL, RunningServer, chat, off, samples, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"

TELEMETRY = """
[telemetry]
otlp_endpoint = "http://127.0.0.1:{collector}"
service_name = "under-test"
"""


class Collector(http.server.ThreadingHTTPServer):
    """Takes OTLP over HTTP in JSON, strictly."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.spans = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/v1/traces" and self.headers["content-type"] == "application/json"
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            for resource in body["resourceSpans"]:
                names = {a["key"]: a["value"]["stringValue"] for a in resource["resource"]["attributes"]}
                assert names["service.name"] == "under-test"
                for scope in resource["scopeSpans"]:
                    self.server.spans += [self.read(span) for span in scope["spans"]]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        @staticmethod
        def read(span):
            assert re.fullmatch(r"[0-9a-f]{32}", span["traceId"]) and re.fullmatch(r"[0-9a-f]{16}", span["spanId"])
            begin, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
            assert isinstance(span["startTimeUnixNano"], str) and begin <= end

            def value(v):
                (kind, it), = v.items()
                if kind == "arrayValue":
                    return [value(one) for one in it["values"]]
                return int(it) if kind == "intValue" else it

            span["attributes"] = {a["key"]: value(a["value"]) for a in span["attributes"]}
            return span

        def log_message(self, *_):
            pass


@pytest.fixture(scope="module")
def collector():
    running = Collector()
    yield running
    running.shutdown()


@pytest.fixture(scope="module")
def watched(binary, model_file, collector, tmp_path_factory):
    config = tmp_path_factory.mktemp("watched") / "config.toml"
    config.write_text(
        f"""
[server]
port = 0
stop_grace_ms = 500
[[model]]
path = "{model_file}"
[log]
format = "json"
requests = true
slow_ms = 1
"""
        + TELEMETRY.format(collector=collector.server_address[1])
    )
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def user(watched):
    return openai.OpenAI(base_url=watched.url + "/v1", api_key="none", max_retries=0, timeout=120)


def one(found, name, label=""):
    values = [value for labels, value in found.get(name, []) if label in labels]
    assert len(values) == 1, (name, label, found.get(name))
    return values[0]


def test_the_process_is_measured_under_its_usual_names(watched):
    pid = watched.process.pid
    found = samples(watched)
    resident = rss_kib(pid) * 1024
    assert 0.8 * resident <= one(found, "process_resident_memory_bytes") <= 1.25 * resident
    assert abs(one(found, "process_open_fds") - open_files(pid)) <= 2  # connections that open or close meanwhile
    assert time.time() - 3600 < one(found, "process_start_time_seconds") < time.time() + 2
    assert 0 < one(found, "permutation_malloc_allocated_bytes") < one(found, "process_virtual_memory_bytes")
    used = one(found, "process_cpu_seconds_total")
    assert one(samples(watched), "process_cpu_seconds_total") > used > 0


def test_vllms_names_count_what_a_model_computed(watched, user, fresh):
    text = fresh()
    first = chat(user, text)
    chat(user, text)  # a hit: no model ran
    found = samples(watched)
    of = f'model_name="{MODEL}"'
    assert one(found, "vllm:prompt_tokens_total", of) == first.usage.prompt_tokens
    assert one(found, "vllm:prefix_cache_queries_total", of) == first.usage.prompt_tokens
    assert one(found, "vllm:generation_tokens_total", of) == first.usage.completion_tokens
    assert one(found, "vllm:num_requests_running", of) == 0
    assert one(found, "vllm:num_requests_waiting", of) == 0
    assert 0 <= one(found, "vllm:kv_cache_usage_perc", of) <= 1
    assert sum(v for labels, v in found["vllm:request_success_total"] if of in labels) == 1
    for name in (
        "time_to_first_token_seconds", "request_time_per_output_token_seconds", "e2e_request_latency_seconds",
        "request_queue_time_seconds", "request_prefill_time_seconds", "request_decode_time_seconds",
        "request_prompt_tokens", "request_generation_tokens",
    ):  # fmt: skip
        assert one(found, f"vllm:{name}_count", of) == 1, name
    timing = first.model_extra["permutation"]["timing"]
    assert one(found, "vllm:request_decode_time_seconds_sum", of) == pytest.approx(timing["decode_ms"] / 1000, rel=1e-3)
    total = one(found, "vllm:e2e_request_latency_seconds_sum", of)
    assert one(found, "vllm:time_to_first_token_seconds_sum", of) < total
    assert one(found, "permutation_completions_total", 'cache="hit"') == 1
    assert one(found, "permutation_completions_total", 'cache="miss"') == 1


def test_a_request_id_goes_end_to_end(watched, user, collector, fresh):
    raw = user.chat.completions.with_raw_response.create(
        model=MODEL, max_tokens=4, messages=[{"role": "user", "content": fresh()}],
        extra_headers={"x-request-id": "from-the-caller-1"},
    )  # fmt: skip
    assert raw.headers["x-request-id"] == "from-the-caller-1"
    until(lambda: '"request_id":"from-the-caller-1"' in watched.log())
    until(lambda: any(s["attributes"].get("permutation.request.id") == "from-the-caller-1" for s in collector.spans))


def test_log_lines_are_objects_and_slow_requests_stand_out(watched, user, fresh):
    chat(user, fresh("A secret question"))
    until(lambda: "slow_request" in watched.log())
    lines = [json.loads(line) for line in watched.log().splitlines()]
    assert all({"time", "level"} <= line.keys() for line in lines)
    slow = [line for line in lines if line.get("event") == "slow_request"][-1]
    assert slow["level"] == "warning" and slow["ms"] >= 1 and slow["model"] == MODEL
    assert slow["completion_tokens"] > 0 and slow["ttft_ms"] <= slow["ms"]
    assert "A secret question" not in watched.log(), "texts only where they are asked for"


def test_traces_follow_the_conventions_and_the_callers_trace(user, collector, fresh):
    answer = user.chat.completions.create(
        model="permutation", temperature=0, max_tokens=8, messages=[{"role": "user", "content": fresh()}],
        extra_headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}, extra_body=off(),
    )  # fmt: skip
    until(lambda: any(s["traceId"] == TRACE for s in collector.spans))
    spans = [s for s in collector.spans if s["traceId"] == TRACE]
    server = next(s for s in spans if s["kind"] == 2)
    assert server["parentSpanId"] == PARENT and server["name"] == "POST /v1/chat/completions"
    assert server["attributes"]["http.response.status_code"] == 200
    model = next(s for s in spans if s["name"] == "chat permutation")
    assert model["parentSpanId"] == server["spanId"]
    attributes = model["attributes"]
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.request.model"] == "permutation" and attributes["gen_ai.response.model"] == answer.model
    assert attributes["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens
    assert attributes["gen_ai.usage.output_tokens"] == answer.usage.completion_tokens
    assert attributes["gen_ai.response.finish_reasons"] == [answer.choices[0].finish_reason]
    student = next(s for s in spans if s["name"] == f"student {MODEL}")
    assert student["parentSpanId"] == model["spanId"] and student["kind"] == 1
    assert student["attributes"]["gen_ai.usage.output_tokens"] == answer.usage.completion_tokens
    assert student["attributes"]["permutation.computed"] is True
    phases = {s["name"]: s for s in spans if s["parentSpanId"] == student["spanId"]}
    assert {"queue", "prefill", "decode"} <= phases.keys()
    decode_ms = (int(phases["decode"]["endTimeUnixNano"]) - int(phases["decode"]["startTimeUnixNano"])) / 1e6
    assert decode_ms == pytest.approx(answer.model_extra["permutation"]["timing"]["decode_ms"], rel=0.01)
    assert phases["decode"]["attributes"]["permutation.decode.tokens"] == answer.usage.completion_tokens
    prefill = phases["prefill"]["attributes"]
    assert prefill["permutation.prefill.tokens"] + prefill["permutation.prefill.tokens_reused"] == answer.usage.prompt_tokens
    assert prefill["permutation.kv.mode"] == "exact"
    assert len({s["spanId"] for s in spans}) == len(spans)


def test_an_answer_of_several_models_has_a_span_for_each(binary, model_file, collector, tmp_path_factory, fresh):
    teacher = ScriptedUpstream()
    config = tmp_path_factory.mktemp("cascade") / "config.toml"
    text = CONFIG.format(model=model_file, url=teacher.url, models='["large"]')
    config.write_text(text + UNSURE + TELEMETRY.format(collector=collector.server_address[1]))
    running = RunningServer([binary, "serve", "--config", str(config)])
    caller = openai.OpenAI(base_url=running.url + "/v1", api_key="none", max_retries=0, timeout=120)
    for asked, mark in (("do:ok", "d" * 32), ("do:500", "e" * 32)):
        chat(caller, fresh(asked), model="permutation", extra_headers={"traceparent": f"00-{mark}-{PARENT}-01"})
        until(lambda: any(s["traceId"] == mark for s in collector.spans))
        spans = [s for s in collector.spans if s["traceId"] == mark]
        model = next(s for s in spans if s["name"] == "chat permutation")
        server = next(s for s in spans if s["kind"] == 2)
        parts = {s["attributes"]["permutation.part"]: s for s in spans if "permutation.part" in s["attributes"]}
        assert all(s["parentSpanId"] == model["spanId"] for s in parts.values())
        student, large = parts["student"], parts["teacher"]
        assert student["kind"] == 1 and student["attributes"]["gen_ai.usage.output_tokens"] == 4
        assert int(student["endTimeUnixNano"]) <= int(large["startTimeUnixNano"])
        assert large["kind"] == 3 and large["attributes"]["gen_ai.request.model"] == "t/large"
        assert large.get("status", {}).get("code") == (2 if asked == "do:500" else None)
        assert teacher.headers[-1]["traceparent"] == f"00-{mark}-{server['spanId']}-01"
    assert "fallback" in parts, "the student's own words, after the teacher failed"
    assert running.stop() == 0, running.log()
    teacher.stop()


def test_a_trace_that_is_not_sampled_is_not_sent(user, collector, fresh):
    other = "f" * 32
    chat(user, fresh(), extra_headers={"traceparent": f"00-{other}-{PARENT}-00"})
    mark = "a" * 32
    chat(user, fresh(), extra_headers={"traceparent": f"00-{mark}-{PARENT}-01"})
    until(lambda: any(s["traceId"] == mark for s in collector.spans))
    assert not any(s["traceId"] == other for s in collector.spans)


def test_a_failed_request_is_a_failed_span(user, collector, fresh):
    with pytest.raises(openai.BadRequestError):
        chat(user, "far too long " * 9000, extra_headers={"traceparent": f"00-{'c' * 32}-{PARENT}-01"})
    until(lambda: any(s["traceId"] == "c" * 32 for s in collector.spans))
    model = next(s for s in collector.spans if s["traceId"] == "c" * 32 and s["name"].startswith("chat"))
    assert model["status"]["code"] == 2 and "tokens" in model["status"]["message"]
    assert model["attributes"]["error.type"] == "400"


TENANTS = """
[server]
port = 0
stop_grace_ms = 500
[[model]]
path = "{model}"
[[upstream]]
name = "u"
base_url = "{url}"
models = ["large"]
retries = 0
cooldown_failures = 0
[prices."u/large"]
input_per_mtok = 3.0
output_per_mtok = 15.0
"""
GIVEN = ("hit", "semantic_hit", "coalesced", "stale")


class TwoTenants:
    """A server that two tenants have asked two models; what an operator reads of it."""

    def __init__(self, binary, model_file, folder, new_key):
        self.upstream = ScriptedUpstream()
        options = {
            "ann": ("--tenant", "a", "--scope", "inference", "--budget-usd-per-day", "5"),
            "bob": ("--tenant", "b", "--scope", "inference", "--scope", "cache"),
            "ops": ("--scope", "admin"),
        }
        keys = {name: new_key("--name", name, *more) for name, more in options.items()}
        config = folder / "config.toml"
        text = TENANTS.format(model=model_file, url=self.upstream.url)
        config.write_text(text + "\n".join(key["toml"] for key in keys.values()))
        self.running = RunningServer([binary, "serve", "--config", str(config)])
        self.headers = {"authorization": f"Bearer {keys['ops']['key']}"}
        self.callers = {
            name: openai.OpenAI(base_url=self.running.url + "/v1", api_key=key["key"], max_retries=0, timeout=120)
            for name, key in keys.items()
        }
        long = "The harbour opens at six, and the ferry leaves at seven. " * 12
        for caller, model, text in (
            ("ann", MODEL, long + "When?"), ("ann", MODEL, long + "When?"), ("ann", MODEL, long + "Where from?"),
            ("bob", MODEL, long + "When?"), ("bob", MODEL, long + "Who?"), ("bob", MODEL, long + "Who?"),
            ("ann", "u/large", "One."), ("ann", "u/large", "One."), ("bob", "u/large", "One."),
        ):  # fmt: skip
            chat(self.callers[caller], text, model=model)
        self.found = samples(self.running, self.headers)

    def get(self, path):
        return httpx.get(self.running.url + path, headers=self.headers, timeout=60).raise_for_status().json()

    def sum(self, name, **labels):
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(value for text, value in self.found[name] if all(one in text for one in wanted))

    def stop(self):
        assert self.running.stop() == 0, self.running.log()
        self.upstream.stop()


@pytest.fixture(scope="module")
def tenants(binary, model_file, new_key, tmp_path_factory):
    made = TwoTenants(binary, model_file, tmp_path_factory.mktemp("tenants"), new_key)
    yield made
    made.stop()


def test_the_sums_over_models_and_tenants_are_what_the_audit_says(tenants):
    for row in tenants.get("/v1/audit")["caches"]:
        for surface, used in row["used_in"].items():
            assert tenants.sum("permutation_cache_uses_total", cache=row["name"], surface=surface) == used["count"], row
    of = {"name": "permutation_cache_uses_total", "cache": "response cache"}
    assert tenants.sum(**of, model=MODEL, tenant="a", key="ann") == 1
    assert tenants.sum(**of, model=MODEL, tenant="b", key="bob") == 1
    assert tenants.sum(**of, model="u/large", key="ann") == 1
    assert tenants.sum(**of, model="u/large", key="bob") == 0


def test_the_sums_over_models_and_tenants_are_what_the_cache_says(tenants):
    stats = tenants.get("/v1/cache")
    prefix = "permutation_response_cache_"
    assert tenants.sum(prefix + "hits_total") == stats["hits"]["exact"] == 3
    assert tenants.sum(prefix + "misses_total") == stats["misses"] == 6
    for name in ("stores", "refused", "evictions", "expired", "purged", "tokens_saved"):
        assert tenants.sum(prefix + name + "_total") == stats[name], name
    assert tenants.sum(prefix + "usd_saved_total") == pytest.approx(stats["usd_saved"])
    assert tenants.sum(prefix + "hits_total", model=MODEL, tenant="b") == 1
    assert tenants.sum(prefix + "misses_total", tenant="a") == 3
    tokens = "permutation_completion_tokens_total"
    given = sum(tenants.sum(tokens, cache=status) for status in GIVEN)
    assert given / tenants.sum(tokens) == pytest.approx(stats["token_hit_rate"])
    assert given == stats["tokens_saved"]


def test_tokens_of_prefixes_are_vllms_for_each_tenant(tenants):
    of = {"cache": "prefix reuse", "model": MODEL}
    reused = tenants.sum("permutation_cache_use_tokens_total", **of)
    assert reused == tenants.sum("vllm:prefix_cache_hits_total", model_name=MODEL)
    for key in ("ann", "bob"):
        assert tenants.sum("permutation_cache_uses_total", **of, key=key) == 1
        assert 100 < tenants.sum("permutation_cache_use_tokens_total", **of, key=key) < reused
    read = tenants.sum("permutation_model_prompt_tokens_total", model=MODEL)
    assert read == tenants.sum("vllm:prefix_cache_queries_total", model_name=MODEL) > reused


def test_the_grafana_dashboard_asks_for_what_there_is(tenants):
    path = pathlib.Path(__file__).parents[2] / "docs" / "grafana-dashboard.json"
    dashboard = json.loads(path.read_text())
    labels = {name: set(re.findall(r'(\w+)="', "".join(text for text, _ in found))) for name, found in tenants.found.items()}

    def panels(of):
        for panel in of:
            yield panel
            yield from panels(panel.get("panels", []))

    every = list(panels(dashboard["panels"]))
    assert len({panel["id"] for panel in every}) == len(every)
    repeated = {panel.get("repeat"): panel["panels"] for panel in every if panel["type"] == "row"}
    assert {"model", "key"} <= repeated.keys()
    for variable, shown in repeated.items():
        for panel in shown:
            assert all(f'=~"${variable}"' in target["expr"] for target in panel["targets"]), panel["title"]
    queries = [target["expr"] for panel in every for target in panel.get("targets", [])]
    assert len(queries) > 40
    for query in queries:
        asked = re.findall(r"((?:vllm:|permutation_|process_)\w+)(\{[^}]*\})?", query)
        assert asked, query
        grouped = re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", query)))
        for name, selector in asked:
            assert name in tenants.found, query
            assert {*re.findall(r"(\w+)(?:=~|!~|!=|=)\"", selector), *grouped} <= labels[name], query
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]).groups()
            assert label in labels[name]
