// The public SDK against a running notary. Where it is comes from TALLY_URLS (comma-separated) and
// TALLY_TRUST_BASE, or from the JSON line of `tally devnet up` on standard input.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';

import { AggregatorClient } from '@unicitylabs/state-transition-sdk/lib/api/AggregatorClient.js';
import { CertificationData } from '@unicitylabs/state-transition-sdk/lib/api/CertificationData.js';
import { StateId } from '@unicitylabs/state-transition-sdk/lib/api/StateId.js';
import { RootTrustBase } from '@unicitylabs/state-transition-sdk/lib/api/bft/RootTrustBase.js';
import { UnicityCertificateVerifier } from '@unicitylabs/state-transition-sdk/lib/api/bft/verification/UnicityCertificateVerifier.js';
import { UnicitySealQuorumSignaturesVerificationRule } from '@unicitylabs/state-transition-sdk/lib/api/bft/verification/rule/UnicitySealQuorumSignaturesVerificationRule.js';
import { JsonRpcDataError } from '@unicitylabs/state-transition-sdk/lib/api/json-rpc/JsonRpcDataError.js';
import { JsonRpcHttpTransport } from '@unicitylabs/state-transition-sdk/lib/api/json-rpc/JsonRpcHttpTransport.js';
import { Secp256k1SignatureVerifier } from '@unicitylabs/state-transition-sdk/lib/crypto/secp256k1/Secp256k1SignatureVerifier.js';
import { Signature } from '@unicitylabs/state-transition-sdk/lib/crypto/secp256k1/Signature.js';
import { SigningService } from '@unicitylabs/state-transition-sdk/lib/crypto/secp256k1/SigningService.js';
import { SplitMintJustification } from '@unicitylabs/state-transition-sdk/lib/payment/SplitMintJustification.js';
import { SplitMintJustificationVerifier } from '@unicitylabs/state-transition-sdk/lib/payment/SplitMintJustificationVerifier.js';
import { SplitTokenRequest } from '@unicitylabs/state-transition-sdk/lib/payment/SplitTokenRequest.js';
import { TokenSplit } from '@unicitylabs/state-transition-sdk/lib/payment/TokenSplit.js';
import { Asset } from '@unicitylabs/state-transition-sdk/lib/payment/asset/Asset.js';
import { AssetId } from '@unicitylabs/state-transition-sdk/lib/payment/asset/AssetId.js';
import { PaymentAssetCollection } from '@unicitylabs/state-transition-sdk/lib/payment/asset/PaymentAssetCollection.js';
import { SignaturePredicate } from '@unicitylabs/state-transition-sdk/lib/predicate/builtin/SignaturePredicate.js';
import { SignaturePredicateUnlockScript } from '@unicitylabs/state-transition-sdk/lib/predicate/builtin/SignaturePredicateUnlockScript.js';
import { PredicateVerifierService } from '@unicitylabs/state-transition-sdk/lib/predicate/verification/PredicateVerifierService.js';
import { StateTransitionClient } from '@unicitylabs/state-transition-sdk/lib/StateTransitionClient.js';
import { MintTransaction } from '@unicitylabs/state-transition-sdk/lib/transaction/MintTransaction.js';
import { StateMask } from '@unicitylabs/state-transition-sdk/lib/transaction/StateMask.js';
import { Token } from '@unicitylabs/state-transition-sdk/lib/transaction/Token.js';
import { TransferTransaction } from '@unicitylabs/state-transition-sdk/lib/transaction/TransferTransaction.js';
import { MintJustificationVerifierService } from '@unicitylabs/state-transition-sdk/lib/transaction/verification/MintJustificationVerifierService.js';
import { TokenIssuanceVerifierService } from '@unicitylabs/state-transition-sdk/lib/transaction/verification/TokenIssuanceVerifierService.js';
import { VerificationContext } from '@unicitylabs/state-transition-sdk/lib/transaction/verification/VerificationContext.js';
import { waitInclusionProof } from '@unicitylabs/state-transition-sdk/lib/util/InclusionProofUtils.js';
import { VerificationStatus } from '@unicitylabs/state-transition-sdk/lib/verification/VerificationStatus.js';

/** The assets of a token, encoded as the collection alone. */
class Payment {
  constructor(assets) {
    this.assets = assets;
  }

  static async decode(bytes) {
    return new Payment(PaymentAssetCollection.fromCBOR(bytes));
  }

  async encode() {
    return this.assets.toCBOR();
  }
}

function place() {
  if (process.env.TALLY_URLS && process.env.TALLY_TRUST_BASE) {
    return { urls: process.env.TALLY_URLS.split(','), trustBase: process.env.TALLY_TRUST_BASE };
  }
  return JSON.parse(readFileSync(0, 'utf8').trim().split('\n')[0]);
}

const { urls, trustBase: trustBasePath } = place();
const trustBase = RootTrustBase.fromJSON(JSON.parse(readFileSync(trustBasePath, 'utf8')));
const predicates = PredicateVerifierService.create();
const certificates = new UnicityCertificateVerifier(
  new UnicitySealQuorumSignaturesVerificationRule(new Secp256k1SignatureVerifier()),
);
const context = new VerificationContext(
  trustBase,
  predicates,
  certificates,
  new MintJustificationVerifierService().register(new SplitMintJustificationVerifier(Payment.decode)),
  new TokenIssuanceVerifierService(false),
);
const clients = urls.map((url) => new StateTransitionClient(new AggregatorClient(url)));
const client = clients[0];
const raw = new JsonRpcHttpTransport(urls[0]);

const alice = SigningService.generate();
const bob = SigningService.generate();
const carol = SigningService.generate();
const owner = (service) => SignaturePredicate.fromSigningService(service);

async function proofOf(transaction, from = client) {
  return waitInclusionProof(from, trustBase, predicates, certificates, transaction);
}

async function mint(recipient, options = {}) {
  const transaction = await MintTransaction.create(trustBase.networkId, owner(recipient), options);
  const response = await client.submitCertificationRequest(await CertificationData.fromMintTransaction(transaction));
  assert.equal(response.status, 'SUCCESS');
  const certified = await transaction.toCertifiedTransaction(
    trustBase,
    predicates,
    certificates,
    await proofOf(transaction),
  );
  return Token.mint(certified, context);
}

async function signed(transaction, service) {
  return CertificationData.fromTransaction(
    transaction,
    await SignaturePredicateUnlockScript.create(transaction, service),
  );
}

async function certifyTransfer(token, transaction, service, through = client) {
  const response = await through.submitCertificationRequest(await signed(transaction, service));
  assert.equal(response.status, 'SUCCESS');
  const certified = await transaction.toCertifiedTransaction(
    trustBase,
    predicates,
    certificates,
    await proofOf(transaction, through),
  );
  return token.transfer(certified, context);
}

async function transfer(token, from, to, through = client) {
  const transaction = await TransferTransaction.create(token, owner(to), StateMask.generate());
  return certifyTransfer(token, transaction, from, through);
}

async function assertValid(token) {
  const result = await token.verify(context);
  assert.equal(result.status, VerificationStatus.OK, result.toString());
}

before(async () => {
  assert.ok((await new AggregatorClient(urls[0]).getLatestBlockNumber()) >= 1n);
});

test('a minted token moves twice, is serialised and verifies', async () => {
  let token = await mint(alice, { data: new TextEncoder().encode('hello') });
  await assertValid(token);
  token = await transfer(token, alice, bob);
  token = await transfer(token, bob, carol, clients.at(-1));
  const read = await Token.fromCBOR(token.toCBOR());
  assert.deepEqual(read.toCBOR(), token.toCBOR());
  assert.equal(read.transactions.length, 2);
  await assertValid(read);
});

test('a double spend is refused, at every node, and the first spend stays', async () => {
  const token = await mint(alice);
  const first = await TransferTransaction.create(token, owner(bob), StateMask.generate());
  const second = await TransferTransaction.create(token, owner(carol), StateMask.generate());
  const moved = await certifyTransfer(token, first, alice);
  for (const other of clients) {
    const response = await other.submitCertificationRequest(await signed(second, alice));
    assert.equal(response.status, 'STATE_ID_EXISTS');
    const { inclusionProof } = await other.getInclusionProof(await StateId.fromTransaction(second));
    const certified = inclusionProof.certificationData.transactionHash;
    assert.deepEqual(certified.data, (await first.calculateTransactionHash()).data);
    await assert.rejects(proofOf(second, other));
    const again = await other.submitCertificationRequest(await signed(first, alice));
    assert.equal(again.status, 'SUCCESS');
  }
  await assertValid(moved);
});

test('of two spends sent at the same time to two nodes one is certified', async () => {
  const token = await mint(alice);
  const spends = await Promise.all(
    [bob, carol].map((to) => TransferTransaction.create(token, owner(to), StateMask.generate())),
  );
  await Promise.all(
    spends.map(async (spend, i) =>
      clients[i % clients.length].submitCertificationRequest(await signed(spend, alice)),
    ),
  );
  const outcomes = await Promise.allSettled(spends.map((spend) => proofOf(spend)));
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
});

test('a state that nobody spent has no proof yet, and a certificate all the same', async () => {
  const token = await mint(alice);
  const transaction = await TransferTransaction.create(token, owner(bob), StateMask.generate());
  const response = await client.getInclusionProof(await StateId.fromTransaction(transaction));
  assert.equal(response.inclusionProof, null);
  assert.ok(response.unicityCertificate.inputRecord.roundNumber >= 1n);
});

test('a tampered signature is refused and the state stays unspent', async () => {
  const token = await mint(alice);
  const transaction = await TransferTransaction.create(token, owner(bob), StateMask.generate());
  const good = await SignaturePredicateUnlockScript.create(transaction, alice);
  const bytes = good.encode();
  bytes[5] ^= 1;
  const bad = await CertificationData.fromTransaction(transaction, { encode: () => bytes });
  const response = await client.submitCertificationRequest(bad);
  assert.equal(response.status, 'SIGNATURE_VERIFICATION_FAILED');
  const stranger = await client.submitCertificationRequest(await signed(transaction, bob));
  assert.equal(stranger.status, 'SIGNATURE_VERIFICATION_FAILED');
  const after = await client.getInclusionProof(await StateId.fromTransaction(transaction));
  assert.equal(after.inclusionProof, null);
  assert.ok(Signature.decode(good.encode()), 'the untouched one is a signature');
  await assertValid(await certifyTransfer(token, transaction, alice));
});

test('a deadline that has passed is refused, one that has not is kept', async () => {
  const token = await mint(alice);
  const late = await TransferTransaction.create(token, owner(bob), StateMask.generate(), { expiresAt: 1000n });
  const response = await client.submitCertificationRequest(await signed(late, alice));
  assert.equal(response.status, 'REQUEST_EXPIRED');
  const expiresAt = BigInt(Math.floor(Date.now() / 1000)) + 600n;
  const timely = await TransferTransaction.create(token, owner(bob), StateMask.generate(), { expiresAt });
  await assertValid(await certifyTransfer(token, timely, alice));
});

test('a token splits in two, and both verify with all their history', async () => {
  const id = (text) => new AssetId(new TextEncoder().encode(text));
  const assets = (euros, points) =>
    new Payment(PaymentAssetCollection.create(new Asset(id('EUR'), euros), new Asset(id('points'), points)));
  const token = await mint(alice, { data: await assets(100n, 7n).encode() });
  const parts = [
    [bob, assets(60n, 3n)],
    [alice, assets(40n, 4n)],
  ];
  const requests = parts.map(([to, payment]) => SplitTokenRequest.create(owner(to), payment));
  const split = await TokenSplit.split(token, Payment.decode, requests);
  const burned = await certifyTransfer(token, split.burn.transaction, alice);
  for (const [i, part] of split.tokens.entries()) {
    const minted = await mint(parts[i][0], {
      data: await part.paymentData.encode(),
      justification: SplitMintJustification.create(burned, part.proofs).toCBOR(),
      salt: part.salt,
      tokenType: part.tokenType,
    });
    const read = await Token.fromCBOR(minted.toCBOR());
    await assertValid(read);
    await assertValid(await transfer(read, parts[i][0], carol));
  }
});

test('every node answers with the same certified leaf', async () => {
  const transaction = await MintTransaction.create(trustBase.networkId, owner(alice));
  await client.submitCertificationRequest(await CertificationData.fromMintTransaction(transaction));
  const proofs = await Promise.all(clients.map((node) => proofOf(transaction, node)));
  const leaves = proofs.map((proof) => [proof.referenceTime, proof.certificationData.transactionHash.toString()]);
  for (const leaf of leaves) {
    assert.deepEqual(leaf, leaves[0]);
  }
});

test('what is no request is a fault that the SDK understands', async () => {
  await assert.rejects(raw.request('certification_request', '00'), JsonRpcDataError);
  await assert.rejects(raw.request('no_such_method', {}), JsonRpcDataError);
  await assert.rejects(raw.request('get_inclusion_proof.v2', { stateId: 'zz' }), JsonRpcDataError);
});
