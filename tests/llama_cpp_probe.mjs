// What llama.cpp makes of a GGUF file. Standard input: {"model", "texts", "ids"}; standard output: {"tokens", "back", "logits", ...}.
// The first argument is the folder in which `npm install --prefix FOLDER node-llama-cpp` was run.
import path from "node:path";
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const entry = path.resolve(process.argv[2], "node_modules/node-llama-cpp/dist/index.js");
const {getLlama} = await import(pathToFileURL(entry));
const {model: modelPath, texts, ids} = JSON.parse(readFileSync(0, "utf8"));
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, logLevel: "error"});
const model = await llama.loadModel({modelPath, useMmap: false});
const found = {
    tokens: texts.map((text) => [...model.tokenize(text, false)]),
    marks: [...model.tokenize("<|endoftext|>", true)],
    bos: model.tokens.bos,
    eos: model.tokens.eos,
    addsBos: model.tokens.shouldPrependBosToken,
    template: model.fileInfo.metadata.tokenizer.chat_template ?? null,
};
found.back = found.tokens.map((tokens) => model.detokenize(tokens));
if (ids) {
    const context = await model.createContext({
        contextSize: ids.length + 1, threads: 1, flashAttention: false, failedCreationRemedy: false,
        experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32",
    });
    const sequence = context.getSequence();
    const asked = [...ids, ids[0]]; // the logits after the last token of a batch come out wrong: nobody asks for these
    const outputs = await sequence.controlledEvaluate(asked.map((id) => [id, {generateNext: {logits: true}}]));
    found.logits = outputs.slice(0, -1).map(({next}) => [...next.logits].sort(([a], [b]) => a - b).map(([, logit]) => logit));
}
process.stdout.write(JSON.stringify(found), () => process.exit(0));
