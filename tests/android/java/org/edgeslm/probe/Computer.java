package org.edgeslm.probe;

/** The platform of tests: a JVM on Linux, which is no phone and says so. */
public final class Computer implements Platform {
    private final boolean emulated;
    private final Boolean throttled;

    public Computer() {
        this(false, null);
    }

    Computer(boolean emulated, Boolean throttled) {
        this.emulated = emulated;
        this.throttled = throttled;
    }

    @Override
    public boolean isEmulated() {
        return emulated;
    }

    @Override
    public String machine() {
        return System.getProperty("os.arch").equals("amd64") ? "x86_64" : System.getProperty("os.arch");
    }

    @Override
    public String board() {
        return null;
    }

    @Override
    public String chip() {
        return null;
    }

    @Override
    public String virtual() {
        return "no phone: " + System.getProperty("java.vm.name");
    }

    @Override
    public String system() {
        return System.getProperty("os.name");
    }

    @Override
    public String kernel() {
        return System.getProperty("os.version");
    }

    @Override
    public Boolean isThrottled() {
        return throttled;
    }
}
