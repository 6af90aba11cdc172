/** Every cap and size of the protocol, with its reason. `docs/limits.md` lists them. */

const KiB = 1024;
const MiB = 1024 * KiB;

export const REVISION = 1;
export const MIN_REVISION = 1;

/** Payload bytes in one Data frame: small enough that a keystroke never waits long behind one. */
export const MAX_DATA_BYTES = 64 * KiB;
/** An encoded frame; a longer one ends the link before memory is spent. */
export const MAX_FRAME_BYTES = 128 * KiB;
/** An encoded frame that is not Data: these are collected whole before they are decoded. */
export const MAX_CONTROL_FRAME_BYTES = 16 * KiB;

/** What may be sent on a new channel before its first Credit. */
export const INITIAL_WINDOW_BYTES = 256 * KiB;
/** A window's cap: 16 MiB over 100 ms are 1.3 Gbit/s. */
export const MAX_WINDOW_BYTES = 16 * MiB;
/** What windows may grow by in all, in this process. */
export const WINDOW_BUDGET_BYTES = 512 * MiB;

/** `write` answers false above this, `onWritable` follows at or below the low mark. */
export const WRITE_HIGH_WATER_BYTES = 256 * KiB;
export const WRITE_LOW_WATER_BYTES = 64 * KiB;

/** One write to the transport. Larger ones gain nothing, and delay what comes next. */
export const BATCH_BYTES = 256 * KiB;
/** Payloads under this are copied beside their header: one chunk instead of three. */
export const COPY_BYTES = 4 * KiB;

export const DEFAULT_MAX_CHANNELS = 4096;
export const MAX_METADATA_ENTRIES = 16;
export const MAX_METADATA_BYTES = 4 * KiB;
export const MAX_REASON_BYTES = 512;
/** Keys that one channel to an SSH server may name. */
export const MAX_AUTHORIZED_KEYS = 64;
/** Control frames waiting to be sent. A peer that makes us answer more without reading is cut. */
export const MAX_QUEUED_CONTROL_FRAMES = 16_384;

/** A Credit is sent at the latest this long after bytes were handed on. */
export const IDLE_CREDIT_MS = 100;
/** 8 s + 5 s, checked every 500 ms: a dead peer is noticed within 15 s, and load balancers' 60 s are never reached. */
export const PING_AFTER_MS = 8_000;
export const PONG_WITHIN_MS = 5_000;
/** How often silence is looked at: both times above can pass by so much. */
export const LIVENESS_GRAIN_MS = 500;
/** A look that is that late judges nobody: this process was stopped, or its machine was. */
export const STOOD_STILL_MS = 2_000;
/** What was said is followed by a word of the other side's within a round trip and 100 ms; after so long it is asked for one. */
export const PROBE_AFTER_MS = 1_000;
/** No answer to that for so long, and for SILENT_ROUND_TRIPS at least: the link is silent, and another is preferred. */
export const SILENT_AFTER_MS = 1_000;
export const SILENT_ROUND_TRIPS = 4;
export const HELLO_TIMEOUT_MS = 10_000;
/** How long a closing transport may take to send its last bytes. */
export const CLOSE_TIMEOUT_MS = 2_000;

/** How long both ends keep a channel that has lost its link. */
export const RESUME_WINDOW_MS = 60_000;
/** What channels of this process keep to send again, in all, before each is left its first window alone. */
export const REPLAY_BUDGET_BYTES = 256 * MiB;
/** Small messages that are kept are copied into slabs of at most this. */
export const REPLAY_SLAB_BYTES = 64 * KiB;
/** Channels that have ended and are remembered by an agent, so that a late Open or Resume meets the truth. */
export const MAX_TOMBSTONES = 4096;

/** What a switch may hold for one channel whose outgoing link is slower than its incoming one. */
export const SWITCH_BUDGET_BYTES = 1 * MiB;
/** Of it each channel has this for sure, once its first window is used: 64 KiB over 1 ms are 500 Mbit/s. */
export const SWITCH_GUARANTEE_BYTES = 64 * KiB;
/** The rest comes out of this, for all channels of the process. */
export const SWITCH_POOL_BYTES = 64 * MiB;
