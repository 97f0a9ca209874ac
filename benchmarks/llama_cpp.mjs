// How fast llama.cpp generates from a GGUF file: parallel sequences of one context, batched, greedy, on the CPU.
//
//     npm install --prefix DIR node-llama-cpp            # its engine for Linux, macOS and Windows comes prebuilt
//     node benchmarks/llama_cpp.mjs DIR model.gguf --threads 2 --streams 16 --prompt 64 --tokens 128 --rounds 3
//
// Prints one line of JSON for each round. A stream's prompt is its own random tokens; an end of text does not end a stream.
// Flash attention and the type of the cache are options, to be measured as what is faster; the defaults are llama.cpp's.
import path from "node:path";
import {pathToFileURL} from "node:url";
import {parseArgs} from "node:util";

const {values, positionals} = parseArgs({
    allowPositionals: true,
    options: {
        threads: {type: "string", default: "1"}, streams: {type: "string", default: "1"},
        prompt: {type: "string", default: "64"}, tokens: {type: "string", default: "128"},
        rounds: {type: "string", default: "3"}, batch: {type: "string", default: "512"},
        flash: {type: "string", default: "auto"}, cache: {type: "string", default: "F16"},
    },
});
const [folder, modelPath] = positionals;
const [threads, streams, prompt, count, rounds, batchSize] =
    ["threads", "streams", "prompt", "tokens", "rounds", "batch"].map((name) => Number(values[name]));
const flashAttention = {auto: "auto", on: true, off: false}[values.flash];

const {getLlama} = await import(pathToFileURL(path.resolve(folder, "node_modules/node-llama-cpp/dist/index.js")));
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, maxThreads: threads, logLevel: "error"});
const model = await llama.loadModel({modelPath});
const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
const context = await model.createContext({
    sequences: streams, contextSize: prompt + count + 1, batchSize, threads, flashAttention, failedCreationRemedy: false,
    experimentalKvCacheKeyType: values.cache, experimentalKvCacheValueType: values.cache,
});
const sequences = Array.from({length: streams}, () => context.getSequence());

let seed = 1;
function random(limit) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor((seed / 2147483648) * limit);
}

// The moment of every token of one stream, in seconds
async function stream(sequence, length) {
    await sequence.clearHistory();
    const ids = Array.from({length: prompt}, () => random(vocabulary));
    const began = performance.now();
    const moments = [];
    for await (const _ of sequence.evaluate(ids, {temperature: 0, yieldEogToken: true})) {
        moments.push((performance.now() - began) / 1000);
        if (moments.length === length) break;
    }
    return moments;
}

function quantile(numbers, part) {
    const sorted = [...numbers].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}

await Promise.all(sequences.map((sequence) => stream(sequence, 8))); // warms up
for (let round = 0; round < rounds; round++) {
    const moments = await Promise.all(sequences.map((sequence) => stream(sequence, count)));
    const first = moments.map((times) => times[0]);
    const between = moments.flatMap((times) => times.slice(1).map((time, place) => time - times[place]));
    const last = Math.max(...moments.map((times) => times.at(-1)));
    console.log(JSON.stringify({
        engine: "llama.cpp", file: path.basename(modelPath), threads, streams, prompt, tokens: streams * count,
        flash: context.flashAttention, cache: values.cache, batch: batchSize,
        tokens_per_second: (streams * count) / last,
        decode_tokens_per_second: (streams * (count - 1)) / (last - Math.max(...first)),
        first_token_p50: quantile(first, 0.5), first_token_max: Math.max(...first),
        between_p50: quantile(between, 0.5), between_p95: quantile(between, 0.95),
    }));
}
process.exit(0);
