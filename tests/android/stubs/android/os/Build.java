package android.os;

/** Signatures alone: on a phone these hold what its system image says. */
public class Build {
    public static final String UNKNOWN = "unknown";
    public static final String HARDWARE = text();
    public static final String PRODUCT = text();
    public static final String FINGERPRINT = text();
    public static final String MANUFACTURER = text();
    public static final String MODEL = text();
    public static final String SOC_MANUFACTURER = text();
    public static final String SOC_MODEL = text();
    public static final String[] SUPPORTED_ABIS = {};

    private static String text() {
        return UNKNOWN; // no constant of the compiler's, which would be copied into other classes
    }

    /** Signatures alone. */
    public static class VERSION {
        public static final String RELEASE = text();
        public static final int SDK_INT = Integer.parseInt("0");
    }
}
