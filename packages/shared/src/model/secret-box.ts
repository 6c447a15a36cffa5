/**
 * Public-key boxes: whoever knows a node's public key can seal a value that only this node can open. X25519 with a key pair made for each box,
 * HKDF-SHA256 to an AES-256-GCM key and nonce; secret, node and version are authenticated, so a box opens only in its place.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import type { SecretBox } from "./secret.ts";

const CONTEXT = "fleetcron secret box 1";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Where a box belongs. */
export type BoxPlace = { readonly secret: string; readonly node: string; readonly version: string };
/** A node's key pair: the public half as base64url, the private one as PEM. */
export type KeyPair = { readonly publicKey: string; readonly privateKey: string };

export function createKeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  return { publicKey: publicText(publicKey), privateKey: String(privateKey.export({ format: "pem", type: "pkcs8" })) };
}

/** The public half of a private key in PEM; throws when it is none of ours. */
export function publicKeyOf(privateKey: string): string {
  const key = createPrivateKey(privateKey);
  if (key.asymmetricKeyType !== "x25519") throw new Error(`it is a ${key.asymmetricKeyType} key, not an x25519 key`);
  return publicText(createPublicKey(key));
}

/** Whether text is a public key that `sealBox` takes. */
export function isPublicKey(text: string): boolean {
  return /^[A-Za-z0-9_-]{43}$/.test(text);
}

/** Throws when `publicKey` is not one that a value can be sealed for. */
export function sealBox(value: string, publicKey: string, place: BoxPlace): SecretBox {
  const own = generateKeyPairSync("x25519");
  const ephemeral = publicText(own.publicKey);
  const { key, nonce } = derive(own.privateKey, publicFrom(publicKey), ephemeral, publicKey);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(placeBytes(place));
  const sealed = Buffer.concat([cipher.update(value, "utf8"), cipher.final(), cipher.getAuthTag()]);
  return { v: 1, version: place.version, publicKey, ephemeral, sealed: sealed.toString("base64url") };
}

/** The value, or undefined when the box was not sealed for this key, for this place, or was tampered with. */
export function openBox(box: SecretBox, own: KeyPair, place: Omit<BoxPlace, "version">): string | undefined {
  try {
    const { key, nonce } = derive(createPrivateKey(own.privateKey), publicFrom(box.ephemeral), box.ephemeral, own.publicKey);
    const sealed = Buffer.from(box.sealed, "base64url");
    const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(placeBytes({ ...place, version: box.version })).setAuthTag(sealed.subarray(-TAG_BYTES));
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]).toString("utf8");
  } catch {
    return undefined;
  }
}

/** Both halves of the exchange go into the key, so a box for one key says nothing under another. The key is used once: its nonce may be derived too. */
function derive(ownPrivate: KeyObject, theirPublic: KeyObject, ephemeral: string, recipient: string): { key: Buffer; nonce: Buffer } {
  const shared = diffieHellman({ privateKey: ownPrivate, publicKey: theirPublic });
  const salt = Buffer.from(ephemeral + recipient, "ascii");
  const derived = Buffer.from(hkdfSync("sha256", shared, salt, CONTEXT, KEY_BYTES + NONCE_BYTES));
  return { key: derived.subarray(0, KEY_BYTES), nonce: derived.subarray(KEY_BYTES) };
}

function placeBytes({ secret, node, version }: BoxPlace): Buffer {
  return Buffer.from(JSON.stringify([CONTEXT, secret, node, version]));
}

function publicText(key: KeyObject): string {
  return String(key.export({ format: "jwk" }).x);
}

function publicFrom(text: string): KeyObject {
  if (!isPublicKey(text)) throw new Error("this is not a public key of a node");
  return createPublicKey({ key: { kty: "OKP", crv: "X25519", x: text }, format: "jwk" });
}
