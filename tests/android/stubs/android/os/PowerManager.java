package android.os;

/** Signatures alone. */
public final class PowerManager {
    public static final int THERMAL_STATUS_NONE = 0;

    public native int getCurrentThermalStatus();
}
