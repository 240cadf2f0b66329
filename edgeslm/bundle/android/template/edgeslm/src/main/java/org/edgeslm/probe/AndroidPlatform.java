package org.edgeslm.probe;

import android.content.Context;
import android.os.Build;
import android.os.PowerManager;
import java.util.Locale;

/** What Android tells of the phone that this app runs on. */
public final class AndroidPlatform implements Platform {
    private final PowerManager power;

    /** {@code context}: any; nothing of it is kept but the application's. */
    public AndroidPlatform(Context context) {
        power = (PowerManager) context.getApplicationContext().getSystemService(Context.POWER_SERVICE);
    }

    @Override
    public boolean isEmulated() {
        return isEmulator(Build.HARDWARE, Build.PRODUCT, Build.FINGERPRINT);
    }

    /**
     * Whether these words of a system image are those of an emulator: ranchu and goldfish are the boards of Android's
     * own, cutf_cvm is Cuttlefish, vbox86 a virtual machine that calls itself Genymotion.
     */
    static boolean isEmulator(String hardware, String product, String fingerprint) {
        String board = hardware.toLowerCase(Locale.ROOT);
        return board.equals("ranchu")
                || board.equals("goldfish")
                || board.startsWith("cutf")
                || board.startsWith("vbox86")
                || product.startsWith("sdk_")
                || product.startsWith("google_sdk")
                || fingerprint.startsWith("generic/");
    }

    @Override
    public String machine() {
        String abi = Build.SUPPORTED_ABIS.length > 0 ? Build.SUPPORTED_ABIS[0] : "unknown";
        return abi.equals("arm64-v8a") ? "aarch64" : abi;
    }

    @Override
    public String board() {
        return Build.MANUFACTURER + " " + Build.MODEL;
    }

    @Override
    public String chip() {
        return Build.VERSION.SDK_INT < 31 ? null : known(Build.SOC_MANUFACTURER + " " + Build.SOC_MODEL);
    }

    @Override
    public String virtual() {
        return isEmulated() ? "Android emulator (" + Build.HARDWARE + ")" : null;
    }

    @Override
    public String system() {
        return "Android " + Build.VERSION.RELEASE + " (API " + Build.VERSION.SDK_INT + ")";
    }

    @Override
    public String kernel() {
        return System.getProperty("os.version");
    }

    @Override
    public Boolean isThrottled() {
        if (Build.VERSION.SDK_INT < 29) {
            return null;
        }
        return power.getCurrentThermalStatus() > PowerManager.THERMAL_STATUS_NONE;
    }

    private static String known(String chip) {
        return chip.contains(Build.UNKNOWN) ? null : chip;
    }
}
