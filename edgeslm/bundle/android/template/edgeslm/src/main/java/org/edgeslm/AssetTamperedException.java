package org.edgeslm;

/** An asset has other bytes than the model was built with. */
public final class AssetTamperedException extends EdgeSlmException {
    private static final long serialVersionUID = 1;

    private final String asset;
    private final String expected;
    private final String found;

    AssetTamperedException(String asset, String expected, String found) {
        super(
                "the asset " + asset + " is not the one that was built: its SHA-256 is " + found + ", expected is "
                        + expected,
                "copy it from the bundle again; nothing may rewrite it on the way into the app");
        this.asset = asset;
        this.expected = expected;
        this.found = found;
    }

    public String getAsset() {
        return asset;
    }

    /** SHA-256 in hexadecimal digits, as model.properties has it. */
    public String getExpectedDigest() {
        return expected;
    }

    /** SHA-256 in hexadecimal digits, of what is there. */
    public String getFoundDigest() {
        return found;
    }
}
