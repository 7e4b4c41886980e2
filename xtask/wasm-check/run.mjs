// Runs the module that scripts/wasm.sh built: `node run.mjs MODULE`.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const bytes = await readFile(process.argv[2]);
const module = await WebAssembly.compile(bytes);
// A new instance each time: its memory is all its state.
const { payer_has, payee_has, payee_settles } = (() => {
    const call = (name) => (entropy, units) =>
        new WebAssembly.Instance(module, {}).exports[name](entropy, units);
    return { payer_has: call("payer_has"), payee_has: call("payee_has"), payee_settles: call("payee_settles") };
})();

test("the module imports nothing: no clock, no randomness, no files, no network", () => {
    assert.deepEqual(WebAssembly.Module.imports(module), []);
});

test("one agent pays another", () => {
    assert.equal(payer_has(7, 250n), 750n);
    assert.equal(payee_has(7, 250n), 250n);
});

test("what the payer does not have is not paid", () => {
    assert.equal(payer_has(7, 1_001n), 1_000n);
    assert.equal(payee_has(7, 1_001n), 0n);
});

test("the payee has the payment certified, and the mint that it rests on, though a validator lies", () => {
    assert.equal(payee_settles(7, 250n), 2n);
});

test("of what was not paid there is nothing to certify", () => {
    assert.equal(payee_settles(7, 1_001n), 0n);
});

test("whatever the keys are, the whole is as large as before", () => {
    for (let entropy = 0; entropy < 20; entropy += 1) {
        const units = BigInt(entropy * 50 + 1);
        assert.equal(payee_has(entropy, units), units);
        assert.equal(payer_has(entropy, units) + units, 1_000n);
    }
});
