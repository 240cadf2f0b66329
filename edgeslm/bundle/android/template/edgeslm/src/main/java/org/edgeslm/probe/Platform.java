package org.edgeslm.probe;

/** What only the platform tells of the device that a probe runs on; null where it does not tell. */
public interface Platform {
    /** Whether this is an emulator, whose times say nothing about any device. */
    boolean isEmulated();

    /** The instruction set as Linux names it: aarch64, x86_64. */
    String machine();

    /** Whose device it is, and which: "Google Pixel 8". */
    String board();

    /** The chip's name. */
    String chip();

    /** What stands between this program and a device, where it shows itself. */
    String virtual();

    /** The system's name and version: "Android 14 (API 34)". */
    String system();

    /** The kernel's release. */
    String kernel();

    /** Whether the device slows itself down now, to stay cool. */
    Boolean isThrottled();
}
