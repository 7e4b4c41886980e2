'use strict';

const EVERY_MS = 1000;
const ROWS = 12;

let calls = 0;

/** Calls a method; throws the words of a fault. */
async function call(method, params) {
  calls += 1;
  const body = JSON.stringify({ jsonrpc: '2.0', id: calls, method, params });
  const response = await fetch('./', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  const answer = await response.json();
  if (answer.error) {
    throw new Error(answer.error.message);
  }
  return answer.result;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** Everything is put in as text: what a node says is never markup. */
function list(id, pairs) {
  const parts = pairs.flatMap(([name, value]) => [element('dt', name), element('dd', value)]);
  document.getElementById(id).replaceChildren(...parts);
}

function row(cells) {
  const made = document.createElement('tr');
  made.append(...cells.map((cell) => element('td', cell)));
  return made;
}

function time(seconds) {
  return new Date(Number(seconds) * 1000).toISOString().replace('T', ' ').slice(0, 19);
}

function say(text, bad) {
  const state = document.getElementById('state');
  state.textContent = text;
  state.toggleAttribute('data-bad', bad);
}

/** Reads one item of CBOR, as far as the wire format has them; returns it and where the next begins. */
function cbor(bytes, at) {
  const [major, short] = [bytes[at] >> 5, bytes[at] & 31];
  const size = short < 24 ? 0 : 1 << (short - 24);
  let number = short < 24 ? BigInt(short) : 0n;
  for (let i = 1; i <= size; i += 1) {
    number = number * 256n + BigInt(bytes[at + i]);
  }
  let next = at + 1 + size;
  const count = Number(number);
  if (major === 0) {
    return [number, next];
  }
  if (major === 2 || major === 3) {
    return [bytes.slice(next, next + count), next + count];
  }
  if (major === 7) {
    return [null, next];
  }
  if (major === 6) {
    return cbor(bytes, next);
  }
  const items = [];
  for (let i = 0; i < (major === 5 ? 2 * count : count); i += 1) {
    const [item, after] = cbor(bytes, next);
    items.push(item);
    next = after;
  }
  return [items, next];
}

const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

let shown = 0n;

async function refresh() {
  const status = await call('get_status', {});
  list('facts', [
    ['Block', status.blockNumber],
    ['Time', `${time(status.referenceTime)} UTC`],
    ['Root', status.rootHash],
    ['Spent states', status.leaves],
    ['Waiting', `${status.pending.requests} requests, ${status.pending.bytes} bytes`],
    ['Fork proofs', status.forkProofs],
    ['Network', `${status.networkId}, partition ${status.partitionId}, shard ${status.shardId}, epoch ${status.epoch}`],
    ['Quorum', `${status.quorumThreshold} of the stake`],
    ['This node', `${status.nodeId}, version ${status.version}`],
  ]);
  const nodes = status.validators.map((node) => row([node.nodeId, node.stake, node.lastSigned, node.sigKey]));
  document.getElementById('nodes').replaceChildren(...nodes);
  await rounds(BigInt(status.blockNumber));
  say('Live', false);
}

async function rounds(latest) {
  const blocks = document.getElementById('blocks');
  const oldest = latest - BigInt(ROWS) + 1n;
  let next = shown + 1n > oldest ? shown + 1n : oldest;
  next = next > 1n ? next : 1n;
  for (; next <= latest; next += 1n) {
    const { block, totalCommitments } = await call('get_block', { blockNumber: next.toString() });
    const at = time(BigInt(block.createdAt) / 1000n);
    blocks.prepend(row([block.index, at, totalCommitments, block.refused, block.rootHash]));
    shown = next;
  }
  while (blocks.childElementCount > ROWS) {
    blocks.lastElementChild.remove();
  }
}

async function lookUp(event) {
  event.preventDefault();
  const stateId = document.getElementById('id').value.toLowerCase();
  try {
    const answer = await call('get_exclusion_proof', { stateId });
    if (!answer.spent) {
      list('found', [['Unspent', `as of block ${answer.blockNumber}`]]);
      return;
    }
    const [[, [, data, reference]]] = cbor(unhex(answer.inclusionProof), 0);
    list('found', [
      ['Spent', `as of block ${answer.blockNumber}`],
      ['By transaction', hex(data[3])],
      ['Source state', hex(data[2])],
      ['Reference time', `${time(reference)} UTC`],
    ]);
  } catch (error) {
    list('found', [['No answer', error.message]]);
  }
}

async function run() {
  for (;;) {
    try {
      await refresh();
    } catch (error) {
      say(`No answer: ${error.message}`, true);
    }
    await new Promise((resolve) => setTimeout(resolve, document.hidden ? 10 * EVERY_MS : EVERY_MS));
  }
}

document.getElementById('form').addEventListener('submit', lookUp);
run();
